"""Tiny checkpoints of the real architectures with random weights, saved in the layout of the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

PROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": 32},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "image_processor_type": "VideoMAEImageProcessor",
}


def _save(model: Any, folder: Path, processor: dict[str, Any] | None = None) -> Path:
    for name, parameter in model.named_parameters():
        # Biases and norms start at zero and one; with random ones a dropped or misread one is visible.
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=1.0 if "norm" in name and "weight" in name else 0.0, std=0.3)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **(processor or {})}))
    return folder


def videomae(folder: Path, *, pretraining: bool = False, seed: int = 0) -> Path:
    """4 frames of 32 pixels, 24 dimensions; a fine-tuned classifier or a self-supervised checkpoint."""
    from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEForVideoClassification

    torch.manual_seed(seed)
    config = VideoMAEConfig(
        image_size=32,
        patch_size=8,
        num_frames=4,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        decoder_hidden_size=16,
        decoder_intermediate_size=32,
        decoder_num_attention_heads=2,
        decoder_num_hidden_layers=1,
        num_labels=5,
        use_mean_pooling=not pretraining,
    )
    part = VideoMAEForPreTraining if pretraining else VideoMAEForVideoClassification
    return _save(part(config), folder)


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,'-"
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def _clip_tokenizer(folder: Path) -> Path:
    """A byte-level tokenizer without merges."""
    from transformers import CLIPTokenizer

    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


_CLIP_TEXT = {**SIZES, "vocab_size": 82, "max_position_embeddings": 32, "eos_token_id": 81}


def _word_tokenizer(folder: Path, *, length: int) -> Path:
    """Any tokenizer will do where the text tower's own needs a trained vocabulary: letters, padded with zeros."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: number for number, token in enumerate(["<pad>", "</s>", "<unk>", *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=length,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    return folder


def xclip(folder: Path, *, seed: int = 0) -> Path:
    """4 frames of 32 pixels, 16 dimensions."""
    from transformers import XCLIPConfig, XCLIPModel

    torch.manual_seed(seed)
    vision = {
        **SIZES,
        "image_size": 32,
        "patch_size": 8,
        "num_frames": 4,
        "mit_hidden_size": 16,
        "mit_intermediate_size": 32,
        "mit_num_hidden_layers": 1,
        "mit_num_attention_heads": 2,
    }
    config = XCLIPConfig(
        text_config=_CLIP_TEXT,
        vision_config=vision,
        projection_dim=16,
        prompt_layers=1,
        prompt_num_attention_heads=2,
        logit_scale_init_value=4.6052,  # 100, where training takes it
    )
    return _clip_tokenizer(_save(XCLIPModel(config), folder))


def timesformer(folder: Path, *, seed: int = 0) -> Path:
    """4 frames of 32 pixels, 24 dimensions, 5 classes; mean and deviation of its authors."""
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    torch.manual_seed(seed)
    config = TimesformerConfig(
        image_size=32,
        patch_size=8,
        num_frames=4,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        num_labels=5,
    )
    processor = {"image_mean": [0.45, 0.45, 0.45], "image_std": [0.225, 0.225, 0.225]}
    return _save(TimesformerForVideoClassification(config), folder, processor)


def vivit(folder: Path, *, seed: int = 0) -> Path:
    """4 frames of 32 pixels, 24 dimensions, 5 classes; the processor file as published, which normalises twice."""
    from transformers import VivitConfig, VivitForVideoClassification

    torch.manual_seed(seed)
    config = VivitConfig(
        image_size=32,
        num_frames=4,
        tubelet_size=[2, 8, 8],
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        num_labels=5,
    )
    twice = {"rescale_factor": 1 / 127.5, "offset": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return _save(VivitForVideoClassification(config), folder, twice)


def vjepa2(folder: Path, *, seed: int = 0, classifier: bool = False) -> Path:
    """4 frames of 32 pixels, 24 dimensions; with or without an attentive probe."""
    from transformers import VJEPA2Config, VJEPA2ForVideoClassification, VJEPA2Model

    torch.manual_seed(seed)
    config = VJEPA2Config(
        patch_size=8,
        crop_size=32,
        frames_per_clip=4,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2.0,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
        pred_num_mask_tokens=2,
        num_pooler_layers=1,
        num_labels=5,
    )
    return _save((VJEPA2ForVideoClassification if classifier else VJEPA2Model)(config), folder, {"crop_size": 32})


_UNIT_PIXELS = {"do_normalize": False, "size": {"height": 32, "width": 32}, "do_center_crop": False, "resample": 3}


def videoprism(folder: Path, *, seed: int = 0, kind: str = "clip") -> Path:
    """4 frames of 32 pixels, 16 dimensions; LvT ("clip"), video only ("vision"), or with a classifier ("tuned")."""
    import transformers

    torch.manual_seed(seed)
    vision = {
        "image_size": 32,
        "num_frames": 4,
        "tubelet_size": [1, 8, 8],
        "hidden_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "num_spatial_layers": 1,
        "num_temporal_layers": 1,
        "num_auxiliary_layers": 1,
    }
    if kind == "clip":
        text = {**SIZES, "vocab_size": 3 + len(LETTERS), "max_position_embeddings": 32}
        config = transformers.VideoPrismConfig(vision_config=vision, text_config=text)
        model = transformers.VideoPrismClipModel(config)
        return _word_tokenizer(_save(model, folder, _UNIT_PIXELS), length=32)
    config = transformers.VideoPrismVisionConfig(**vision, num_labels=5)
    part = {"vision": "VideoPrismVisionModel", "tuned": "VideoPrismForVideoClassification"}[kind]
    return _save(getattr(transformers, part)(config), folder, _UNIT_PIXELS)


def clip(folder: Path, *, seed: int = 0) -> Path:
    """32 pixels, 16 dimensions."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(seed)
    vision = {**SIZES, "image_size": 32, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=_CLIP_TEXT, vision_config=vision, projection_dim=16))
    return _clip_tokenizer(_save(model, folder, {"resample": 3}))


def siglip(folder: Path, *, seed: int = 0) -> Path:
    """32 pixels, 16 dimensions."""
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(seed)
    text = {**SIZES, "vocab_size": 3 + len(LETTERS), "max_position_embeddings": 32, "projection_size": 16}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config={**SIZES, "image_size": 32, "patch_size": 8}))
    processor = {
        "size": {"height": 32, "width": 32},
        "do_center_crop": False,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    return _word_tokenizer(_save(model, folder, processor), length=32)


def dinov2(folder: Path, *, seed: int = 0, registers: bool = False) -> Path:
    """Trained at 64 pixels and used at 32, as published ones are at 518 and 224; 16 dimensions."""
    import transformers

    torch.manual_seed(seed)
    name = "Dinov2WithRegisters" if registers else "Dinov2"
    config = getattr(transformers, f"{name}Config")(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=64, patch_size=8
    )
    return _save(getattr(transformers, f"{name}Model")(config), folder, {"resample": 3})


def dinov3(folder: Path, *, seed: int = 0) -> Path:
    """32 pixels, 16 dimensions, 4 registers."""
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    torch.manual_seed(seed)
    config = DINOv3ViTConfig(**SIZES, image_size=32, patch_size=8, num_register_tokens=4)
    return _save(DINOv3ViTModel(config), folder)


def pe_video_class(name: str) -> Any:
    """The library's class, which ties weights by patterns that trip over a buffer of timm."""
    import transformers

    library = getattr(transformers, name)
    ties = json.dumps(library._tied_weights_keys or None).replace("pos_embed", "(pos_embed|bands)")
    return type(name, (library,), {"_tied_weights_keys": json.loads(ties)})


def pe_video_config(config: Any) -> Any:
    """The configuration with its frame encoder's output as wide as it says, which the library forgets."""
    vision = getattr(config, "audio_video_config", config).video_config.vision_config
    vision.num_labels = vision.num_classes
    return config


def pe_video(folder: Path, *, sound: bool = False, seed: int = 0) -> Path:
    """32 pixels, 16 dimensions; its frame encoder is timm's smallest of the kind. With ``sound`` the whole model."""
    from transformers import PeAudioVideoConfig, PeVideoConfig

    torch.manual_seed(seed)
    text = {
        "model_type": "modernbert",
        "vocab_size": 3 + len(LETTERS),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
        "global_attn_every_n_layers": 1,
    }
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 8,
    }
    vision = {
        "model_type": "timm_wrapper",
        "architecture": "vit_pe_core_tiny_patch16_384",
        "num_classes": 16,
        "do_pooling": True,
        "global_pool": "map",
        "model_args": {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2},
    }
    video = {**small, "vision_config": vision}
    if sound:
        both = {
            **small,
            "video_config": {"model_type": "pe_video_encoder", **video},
            "audio_config": {"model_type": "pe_audio_encoder", **small},
        }
        config = PeAudioVideoConfig(text_config=text, audio_video_config=both)
    else:
        config = PeVideoConfig(text_config=text, video_config=video)
    processor = {
        "size": {"height": 32, "width": 32},
        "do_center_crop": False,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    model = pe_video_class("PeAudioVideoModel" if sound else "PeVideoModel")(pe_video_config(config))
    for parameter in model.parameters():
        if parameter.ndim > 1:  # as they are drawn, nothing of the pixels is left at the end
            torch.nn.init.normal_(parameter, std=0.3)
    return _word_tokenizer(_save(model, folder, processor), length=64)
