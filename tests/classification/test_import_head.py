"""The classifier inside a fine-tuned checkpoint, on stored vectors, says what the whole model says of the video."""

from __future__ import annotations

import json
from pathlib import Path

import checkpoints
import numpy as np
import oracles
import pytest
import torch

from pipeline import Bank, add_class, extract, import_head, predict
from pipeline.core.errors import HeadError, RecipeMismatch
from pipeline.encoders import load_encoder
from pipeline.heads import load_trained

CLASSIFIED = {
    "videomae, fine-tuned": "VideoMAEForVideoClassification",
    "timesformer": "TimesformerForVideoClassification",
    "vivit": "VivitForVideoClassification",
    "vjepa2, with a probe": "VJEPA2ForVideoClassification",
    "videoprism, with a classifier": "VideoPrismForVideoClassification",
}


def name_classes(checkpoint: Path, names: list[str]) -> Path:
    path = checkpoint / "config.json"
    config = json.loads(path.read_text())
    ids = {str(number): name for number, name in enumerate(names)}
    path.write_text(json.dumps({**config, "id2label": ids, "label2id": {name: key for key, name in ids.items()}}))
    return checkpoint


@pytest.mark.parametrize("name", CLASSIFIED)
def test_logits_are_those_of_the_full_model_with_its_class_names(name: str, tmp_path: Path) -> None:
    import transformers

    case = oracles.CASES[name]
    names = ["abseiling", "bowling", "yoga", "zumba", "archery"]
    folder = name_classes(case.build(tmp_path / "checkpoint"), names)
    clips = oracles.clips(case, 3)
    with torch.inference_mode():
        model = getattr(transformers, CLASSIFIED[name]).from_pretrained(folder).eval()
        logits = model(oracles.normalised(clips, case)).logits.reshape(3, -1).numpy()
    encoder = load_encoder(str(folder))
    vectors = encoder.encode(clips)
    classifier = encoder.classifier
    assert list(classifier.classes) == names
    assert np.abs(vectors @ classifier.weight.T + classifier.bias - logits).max() < 1e-4


def test_stored_clips_get_the_actions_without_a_second_forward_pass(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import VideoMAEForVideoClassification

    from pipeline.decoders import open_video, read_clips
    from pipeline.encoders import Encoder
    from pipeline.encoders._preprocess import normalise
    from pipeline.sources.sampling import WHOLE, Sampling

    names = ["abseiling", "bowling", "yoga", "zumba", "archery"]
    folder = name_classes(checkpoints.videomae(tmp_path / "mae"), names)
    bank = tmp_path / "bank"
    extract([videos], bank=bank, encoder=str(folder))
    card = import_head(bank=bank, name="kinetics")
    assert (card.classes, card.labels) == (tuple(names), str(folder))
    assert card.to_row() == {**card.to_row(), "name": "kinetics", "kind": "linear", "classes": names, "clips": 0}
    head = load_trained(bank / "heads", "kinetics").head
    encoder, model = load_encoder(str(folder)), VideoMAEForVideoClassification.from_pretrained(folder).eval()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a video was encoded")

    monkeypatch.setattr(Encoder, "submit", never)
    predictions = predict(bank=bank, head_name="kinetics", top=5)
    assert len(predictions) == 3
    store = Bank(bank)
    vectors = store.embeddings(card.recipe.id)
    for number, row in enumerate(store.clips(card.recipe.id).rows()):
        with open_video(Path(row.video)) as video:
            (clip,) = WHOLE.clips(video.info.span, sampling=Sampling(4))
            (read,) = read_clips(video, [clip], transform=lambda frame: encoder.prepare(frame[None])[0])
        pixels = normalise(torch.from_numpy(read.pixels), encoder.facts.preprocessing)
        with torch.inference_mode():
            logits = model(pixels[None]).logits[0].numpy()
        assert np.abs(head.scores(vectors[number : number + 1])[0] - logits).max() < 1e-4
        (found,) = (one for one in predictions if one.clip_id == row.clip_id)
        assert [label for label, _ in found.top] == [names[index] for index in np.argsort(-logits)]


def test_class_names_that_repeat_are_told_apart(videos: Path, tmp_path: Path) -> None:
    folder = name_classes(checkpoints.videomae(tmp_path / "mae"), ["yoga", "yoga", "a", "b", "c"])
    extract([videos], bank=tmp_path / "bank", encoder=str(folder))
    assert import_head(bank=tmp_path / "bank").classes == ("0 yoga", "1 yoga", "2 a", "3 b", "4 c")


def test_where_there_is_no_classifier_on_the_stored_vectors_it_says_so(videos: Path, tmp_path: Path) -> None:
    tuned = checkpoints.videomae(tmp_path / "mae")
    extract([videos], bank=tmp_path / "plain", encoder=str(tuned), pooling="mean")
    with pytest.raises(HeadError, match=r"no linear classifier on vectors pooled by 'mean'.* train-head"):
        import_head(bank=tmp_path / "plain")
    extract([videos], bank=tmp_path / "xclip", encoder=str(checkpoints.xclip(tmp_path / "x")))
    with pytest.raises(HeadError, match="no linear classifier"):
        import_head(bank=tmp_path / "xclip")


def test_another_checkpoint_than_the_banks_is_refused(videos: Path, tmp_path: Path, videomae: Path) -> None:
    extract([videos], bank=tmp_path / "bank", encoder=str(videomae))
    other = checkpoints.videomae(tmp_path / "other", seed=1)
    with pytest.raises(RecipeMismatch, match="is not what made the stored vectors"):
        import_head(str(other), bank=tmp_path / "bank")
    assert import_head(str(videomae), bank=tmp_path / "bank").name == "videomae"


def test_nothing_can_be_added_to_a_head_that_was_not_trained_here(videos: Path, tmp_path: Path, videomae: Path) -> None:
    extract([videos], bank=tmp_path / "bank", encoder=str(videomae))
    import_head(bank=tmp_path / "bank", name="kinetics")
    with pytest.raises(HeadError, match=r"'kinetics' came with .* was not trained on clips of this bank"):
        add_class("dance", [videos / "red" / "0.mp4"], bank=tmp_path / "bank", head_name="kinetics")
