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


def _save(model: Any, folder: Path) -> Path:
    for name, parameter in model.named_parameters():
        # Biases and norms start at zero and one; with random ones a dropped or misread one is visible.
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=1.0 if "norm" in name and "weight" in name else 0.0, std=0.3)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
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


def xclip(folder: Path, *, seed: int = 0) -> Path:
    """4 frames of 32 pixels, 16 dimensions, with a byte-level tokenizer without merges."""
    from transformers import CLIPTokenizer, XCLIPConfig, XCLIPModel

    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,'-"
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    config = XCLIPConfig(
        text_config={
            **sizes,
            "vocab_size": len(tokens),
            "max_position_embeddings": 32,
            "eos_token_id": len(tokens) - 1,
        },
        vision_config={
            **sizes,
            "image_size": 32,
            "patch_size": 8,
            "num_frames": 4,
            "mit_hidden_size": 16,
            "mit_intermediate_size": 32,
            "mit_num_hidden_layers": 1,
            "mit_num_attention_heads": 2,
        },
        projection_dim=16,
        prompt_layers=1,
        prompt_num_attention_heads=2,
    )
    _save(XCLIPModel(config), folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder
