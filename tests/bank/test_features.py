"""What is kept beside the vectors: written whole, found again by clip, and enough for the model's full score."""

from __future__ import annotations

import json
from pathlib import Path

import hard_videos
import numpy as np
import pytest
import torch
from conftest import make_recipe

from pipeline import Bank, extract, predict, search
from pipeline.bank.damaged import damaged_parts
from pipeline.bank.features import FeatureArrays, write_features
from pipeline.core.errors import BankError, EncoderError, UsageError
from pipeline.encoders import load_encoder, text_cosines

RECIPE = make_recipe()
TEXTS = ["a dog", "two cats on a table", "rain"]


def numbers(n: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3, 5)).astype(np.float16)


class TestKept:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Named as the recipe of what lies in it."""
        return tmp_path / RECIPE.id

    def test_rows_come_back_in_the_order_asked_for_whatever_part_they_are_in(self, folder: Path) -> None:
        first, second = numbers(150), numbers(70, seed=1)
        names = [f"clip {number}" for number in range(220)]
        write_features(folder, names[:150], first, recipe=RECIPE)
        write_features(folder, names[150:], second, recipe=RECIPE)
        everything = np.concatenate([first, second])
        wanted = [3, 3, *np.random.default_rng(2).permutation(220)[:90].tolist()]
        kept = FeatureArrays([folder], "frames")
        assert set(kept.ids) == set(names)
        found = kept.read([names[number] for number in wanted])
        assert found.dtype == np.float16
        assert np.array_equal(found, everything[wanted])

    def test_of_doubles_the_first_counts(self, folder: Path) -> None:
        write_features(folder, ["a"], numbers(1), recipe=RECIPE)
        write_features(folder, ["a"], numbers(1, seed=1), recipe=RECIPE)
        assert np.array_equal(FeatureArrays([folder], "frames").read(["a"]), numbers(1))

    def test_what_is_not_there_is_counted_with_the_way_out(self, folder: Path) -> None:
        write_features(folder, ["a"], numbers(1), recipe=RECIPE)
        with pytest.raises(UsageError, match=r"2 of 3 clips have no patches stored.* keep='patches'"):
            FeatureArrays([folder], "patches").read(["a", "b", "c"])
        assert FeatureArrays([folder / "nothing"], "frames").read([]).shape == (0, 0, 0)

    def test_a_damaged_part_is_named(self, folder: Path) -> None:
        write_features(folder, ["a", "b"], numbers(2), recipe=RECIPE)
        (part,) = folder.glob("*.parquet")
        content = bytearray(part.read_bytes())
        content[len(content) // 3] ^= 0xFF
        part.write_bytes(content)
        with pytest.raises(BankError, match=part.name):
            FeatureArrays([folder], "frames").read(["a", "b"])


class TestExtraction:
    def test_frames_are_stored_beside_the_vectors_and_pool_to_them(
        self, videos: Path, tmp_path: Path, videomae: Path
    ) -> None:
        done = extract([videos], bank=tmp_path / "bank", encoder=str(videomae), keep=["frames"])
        bank = Bank(tmp_path / "bank")
        ids = bank.clips(done.recipe.id).ids
        frames = bank.features(done.recipe.id, "frames").read(ids)
        assert frames.shape == (3, 2, 24)  # tubelets of two frames
        norm = load_encoder(str(videomae))._model.fc_norm
        with torch.inference_mode():
            pooled = norm(torch.from_numpy(frames.astype(np.float32)).mean(1)).numpy()
        assert np.abs(pooled - bank.embeddings(done.recipe.id)).max() < 5e-3

    def test_stored_clips_are_encoded_again_for_what_they_lack_and_their_rows_stay(
        self, videos: Path, tmp_path: Path, xclip: Path
    ) -> None:
        bank = tmp_path / "bank"
        first = extract([videos], bank=bank, encoder=str(xclip))
        before = {path: path.read_bytes() for path in bank.glob("clips/*/*.parquet")}
        again = extract([videos], bank=bank, encoder=str(xclip), keep=["patches"])
        assert (first.encoded_clips, again.encoded_clips) == (3, 3)
        assert {path: path.read_bytes() for path in bank.glob("clips/*/*.parquet")} == before
        assert len(Bank(bank).features(first.recipe.id, "patches").ids) == 3
        third = extract([videos], bank=bank, encoder=str(xclip), keep=["patches"])
        assert (third.encoded_clips, third.count("unchanged")) == (0, 3)
        both = extract([videos], bank=bank, encoder=str(xclip), keep=["frames", "patches"])
        assert both.encoded_clips == 3
        assert extract([videos], bank=bank, encoder=str(xclip)).encoded_clips == 0

    def test_what_an_encoder_has_not_is_refused_before_anything_is_stored(
        self, videos: Path, tmp_path: Path, videomae: Path
    ) -> None:
        with pytest.raises(EncoderError, match=r"has no patches to keep; it has: frames"):
            extract([videos], bank=tmp_path / "bank", encoder=str(videomae), keep=["patches"])
        assert not (tmp_path / "bank").exists()

    def test_a_damaged_part_is_found_by_doctor(self, videos: Path, tmp_path: Path, videomae: Path) -> None:
        extract([videos], bank=tmp_path / "bank", encoder=str(videomae), keep=["frames"])
        (part,) = tmp_path.glob("bank/frames/*/*.parquet")
        part.write_bytes(part.read_bytes()[:-9])
        assert [path for path, _ in damaged_parts(tmp_path / "bank")] == [part]

    def test_a_reader_needs_nothing_of_this_code(self, videos: Path, tmp_path: Path, videomae: Path) -> None:
        import pyarrow.parquet as pq

        done = extract([videos], bank=tmp_path / "bank", encoder=str(videomae), keep=["frames"])
        (part,) = tmp_path.glob("bank/frames/*/*.parquet")
        table = pq.read_table(part)
        assert json.loads(table.schema.metadata[b"clipdex.shape"]) == [2, 24]
        assert json.loads(table.schema.metadata[b"clipdex.recipe"])["encoder"] == "videomae"
        assert table["values"].combine_chunks().flatten().to_numpy(zero_copy_only=False).dtype == np.float16
        assert part.parent.name == done.recipe.id


@pytest.fixture
def bank(videos: Path, tmp_path: Path, xclip: Path) -> Path:
    """Three clips of X-CLIP with their patch features."""
    extract([videos], bank=tmp_path / "bank", encoder=str(xclip), keep=["patches"])
    return tmp_path / "bank"


def full_scores(bank: Path, xclip: Path, texts: list[str]) -> tuple[list[str], np.ndarray]:
    """``logits_per_video`` of the library's own forward pass over the frames of the stored clips."""
    from transformers import AutoTokenizer, XCLIPModel

    from pipeline.decoders import open_video, read_clips
    from pipeline.encoders._preprocess import normalise
    from pipeline.sources.sampling import WHOLE, Sampling

    encoder = load_encoder(str(xclip))
    model, pixels = XCLIPModel.from_pretrained(xclip).eval(), []
    table = Bank(bank).clips(next(iter(Bank(bank).recipes())))
    for row in table.rows():
        with open_video(Path(row.video)) as video:
            (clip,) = WHOLE.clips(video.info.span, sampling=Sampling(4))
            (read,) = read_clips(video, [clip], transform=lambda frame: encoder.prepare(frame[None])[0])
        pixels.append(normalise(torch.from_numpy(read.pixels), encoder.facts.preprocessing))
    tokens = AutoTokenizer.from_pretrained(xclip)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**tokens, pixel_values=torch.stack(pixels)).logits_per_video
    return table.ids, logits.numpy()


class TestExactScores:
    def test_they_are_the_models_logits_on_stored_clips(self, bank: Path, xclip: Path) -> None:
        encoder, store = load_encoder(str(xclip)), Bank(bank)
        ids, logits = full_scores(bank, xclip, TEXTS)
        (recipe_id,) = store.recipes()
        patches = store.features(recipe_id, "patches").read(ids)
        assert patches.dtype == np.float32
        ours = encoder.text_scale * text_cosines(encoder, store.embeddings(recipe_id), TEXTS, patches=patches)
        assert encoder.text_scale > 99
        assert np.abs(ours - logits).max() < 1e-4
        # The cosine of the towers alone is something else, or there would be nothing to rerank by.
        plain = encoder.text_scale * text_cosines(encoder, store.embeddings(recipe_id), TEXTS)
        assert np.abs(plain - logits).max() > 1e-2

    def test_in_half_precision_they_are_near_enough_to_rank_by(
        self, bank: Path, xclip: Path, videos: Path, tmp_path: Path
    ) -> None:
        _, logits = full_scores(bank, xclip, TEXTS)
        extract([videos], bank=tmp_path / "half", encoder=str(xclip), keep=["patches-half"])
        sizes = [
            sum(part.stat().st_size for part in folder.rglob("*.parquet"))
            for folder in (bank / "patches", tmp_path / "half" / "patches-half")
        ]
        assert sizes[1] < 0.8 * sizes[0]
        for column, text in enumerate(TEXTS):
            hits = search(text, bank=tmp_path / "half", k=3, rerank=True)
            assert [100 * hit.score for hit in hits] == pytest.approx(sorted(logits[:, column])[::-1], abs=0.1)

    def test_rerank_orders_hits_by_them(self, bank: Path, xclip: Path) -> None:
        ids, logits = full_scores(bank, xclip, TEXTS)
        for column, text in enumerate(TEXTS):
            hits = search(text, bank=bank, k=3, rerank=True)
            assert [hit.clip_id for hit in hits] == [ids[number] for number in np.argsort(-logits[:, column])]
            assert [100 * hit.score for hit in hits] == pytest.approx(sorted(logits[:, column])[::-1], abs=5e-3)
            assert [hit.rank for hit in hits] == [1, 2, 3]
            assert [hit.clip_id for hit in search(text, bank=bank, k=1, rerank=True)] == [hits[0].clip_id]

    def test_weights_clips_and_unwanted_texts_count_as_in_plain_search(
        self, bank: Path, xclip: Path, videos: Path
    ) -> None:
        ids, logits = full_scores(bank, xclip, TEXTS)
        scale = load_encoder(str(xclip)).text_scale
        clip = str(videos / "red" / "0.mp4")
        parts = {"texts": ["a dog:2"], "clips": [f"{clip}:0.5"], "unwanted": ["rain"]}
        hits = search(**parts, bank=bank, rerank=True, include_query=True)  # type: ignore[arg-type]
        itself = search(clips=[clip], bank=bank, k=1, include_query=True)[0].clip_id
        own = ids.index(itself)
        vectors = Bank(bank).embeddings(next(iter(Bank(bank).recipes())))
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        expected = (2 * logits[:, 0] - logits[:, 2]) / scale + 0.5 * vectors @ vectors[own]
        assert {hit.clip_id: hit.score for hit in hits} == pytest.approx(
            dict(zip(ids, expected.tolist(), strict=True)), abs=1e-4
        )

    def test_predict_scores_prompts_by_them(self, bank: Path, xclip: Path) -> None:
        ids, logits = full_scores(bank, xclip, TEXTS)
        predictions = predict(bank=bank, prompts=TEXTS, rerank=True)
        shares = torch.from_numpy(logits).softmax(1).numpy()
        for name, row in zip(ids, shares, strict=True):
            (found,) = (one for one in predictions if one.clip_id == name)
            assert dict(found.top) == pytest.approx(dict(zip(TEXTS, row.tolist(), strict=True)), abs=1e-4)

    def test_without_patches_or_text_or_such_a_score_it_says_so(
        self, bank: Path, videos: Path, tmp_path: Path, xclip: Path
    ) -> None:
        with pytest.raises(UsageError, match="there is no text in this question"):
            search(clips=[str(videos / "red" / "0.mp4")], bank=bank, rerank=True)
        extract([videos], bank=tmp_path / "plain", encoder=str(xclip))
        with pytest.raises(UsageError, match=r"3 of 3 clips have no patches stored"):
            search("a dog", bank=tmp_path / "plain", rerank=True)
        with pytest.raises(UsageError, match=r"3 of 3 clips have no patches stored"):
            predict(bank=tmp_path / "plain", prompts=["a dog"], rerank=True)
        extract([videos], bank=tmp_path / "lite", encoder="lite", num_frames=2)
        with pytest.raises(UsageError, match=r"lite has no finer score with texts"):
            search("a dog", bank=tmp_path / "lite", rerank=True)
        with pytest.raises(UsageError, match="go with prompts"):
            predict(bank=bank, rerank=True)


class TestTemplates:
    def test_several_are_averaged_as_unit_vectors(self, bank: Path, xclip: Path) -> None:
        encoder = load_encoder(str(xclip))
        templates = ["a video of {}", "{}, filmed by a friend"]
        vectors = encoder.encode_text(["a video of a dog", "a dog, filmed by a friend"])
        mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
        stored = Bank(bank).embeddings(next(iter(Bank(bank).recipes())))
        expected = stored @ (mean / np.linalg.norm(mean)) / np.linalg.norm(stored, axis=1)
        hits = search("a dog", bank=bank, templates=templates, k=3)
        assert [hit.score for hit in hits] == pytest.approx(sorted(expected.tolist())[::-1], abs=1e-5)

    def test_full_scores_are_averaged_over_templates(self, bank: Path, xclip: Path) -> None:
        _, logits = full_scores(bank, xclip, ["a video of a dog", "a dog, filmed"])
        hits = search("a dog", bank=bank, templates=["a video of {}", "{}, filmed"], k=3, rerank=True)
        assert [100 * hit.score for hit in hits] == pytest.approx(sorted(logits.mean(1).tolist())[::-1], abs=5e-3)

    def test_a_template_without_a_place_for_the_text_is_refused(self, bank: Path) -> None:
        for template in ("a video", "{} and {}"):
            with pytest.raises(UsageError, match=r"must hold \{\} once"):
                search("a dog", bank=bank, templates=[template])
        with pytest.raises(UsageError, match="go with prompts"):
            predict(bank=bank, templates=["a video of {}"])


def test_new_clips_of_a_prediction_get_what_the_others_have_beside_their_vectors(tmp_path: Path, xclip: Path) -> None:
    first, second = (
        hard_videos.write(tmp_path / f"{count}.mp4", hard_videos.steady(count), options=hard_videos.X264).path
        for count in (25, 30)
    )
    bank = tmp_path / "bank"
    extract([first], bank=bank, encoder=str(xclip), keep=["patches"])
    predictions = predict([second], prompts=["a dog", "a cat"], rerank=True, bank=bank)
    assert len(predictions) == 1
    assert len(search("a dog", bank=bank, rerank=True)) == 1  # asking does not add to what is searched
