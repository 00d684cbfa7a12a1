"""What holds at the door of the Python API, whichever verb is called."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hard_videos
import numpy as np
import pytest
from conftest import clusters
from small_banks import RECIPE, fill, label

import pipeline
from pipeline import (
    Bank,
    ClipdexError,
    Part,
    Searcher,
    bank_map,
    compare_heads,
    evaluate,
    extract,
    load_encoder,
    predict,
    remove_class,
    rename_class,
    search,
    train_head,
    undo,
    watch,
)
from pipeline.classification.labelling import list_labels
from pipeline.core.errors import UsageError
from pipeline.maintenance.compact_prune import compact, prune
from pipeline.maintenance.doctor import doctor
from pipeline.maintenance.info import bank_info
from pipeline.retrieval.build_index import build_index, remove_indexes


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory, xclip: Path) -> Path:
    """A bank of one video whose encoder reads text; the video lies beside it."""
    folder = tmp_path_factory.mktemp("readable")
    video = folder / "a.mp4"
    hard_videos.write(video, hard_videos.steady(25), options=hard_videos.X264)
    done = extract(str(video), bank=folder / "bank", encoder=str(xclip), keep="patches")
    assert [row.status for row in done.rows] == ["ok"]
    return folder / "bank"


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    X, y = clusters(classes=3, each=6)
    label(tmp_path, fill(tmp_path, X), y)
    return tmp_path


def test_every_verb_takes_a_bank_as_a_path_or_open() -> None:
    public = {name: getattr(pipeline, name) for name in pipeline.__all__}
    verbs = {name: inspect.signature(one).parameters for name, one in public.items() if inspect.isfunction(one)}
    with_bank = {name: own["bank"].annotation for name, own in verbs.items() if "bank" in own}
    assert len(with_bank) > 15
    assert set(with_bank.values()) == {"BankLike"}


def test_one_open_bank_goes_through_all_verbs_and_sees_what_each_changed(bank: Path) -> None:
    opened = Bank(bank)
    assert train_head(bank=opened).classes == ("class 0", "class 1", "class 2")
    assert len(predict(bank=opened)) == len(opened) == 18
    assert evaluate(bank=opened).figures["clips"] == 18
    rename_class("class 0", "zero", bank=opened)
    assert {row.label for row in list_labels(bank=opened)} == {row.label for row in opened.labels()}
    assert opened.heads()[0].classes == ("zero", "class 1", "class 2")
    remove_class("zero", bank=opened)
    undo(bank=opened)
    build_index(bank=opened, kind="exact")
    assert len(Searcher(opened).clips) == 18
    assert remove_indexes(bank=opened).removed == ("flat",)
    assert compact(bank=opened).parts >= 1
    assert prune(bank=opened, dry_run=True).clips == 0
    assert bank_info(bank=opened).recipes[0]["id"] == RECIPE.id
    assert all(check.check != "bank" for check in doctor(bank=opened))
    assert np.isfinite(opened.embeddings(RECIPE.id)).all()


@pytest.mark.parametrize("name", ["lite", "xclip"])
def test_a_lone_text_is_one_text(name: str, xclip: Path) -> None:
    encoder = load_encoder(name if name == "lite" else str(xclip))
    assert np.array_equal(encoder.encode_text("a dog"), encoder.encode_text(["a dog"]))


def test_a_lone_source_is_one_source_and_a_lone_thing_to_keep_is_kept(readable: Path) -> None:
    video = readable.parent / "a.mp4"
    opened = Bank(readable)
    assert opened.feature_names(opened.recipe().id) == ("patches",)
    assert [one.video for one in predict(video, bank=readable, prompts=["dog"])] == [str(video)]
    assert (
        next(watch(str(video), bank=readable, sleep=lambda _: None, encoder=opened.recipe().checkpoint)).inputs[0].path
        == video
    )


def test_a_lone_prompt_is_one_class(readable: Path) -> None:
    (found,) = predict(bank=readable, prompts="dog", templates="a video of a {}")
    assert found.label == "dog"
    assert found.top == (("dog", 1.0),)


def test_a_lone_part_of_a_question_is_one_part(readable: Path) -> None:
    video = readable.parent / "a.mp4"
    (hit,) = search(texts="dog", unwanted="a cat", images=[], bank=readable)
    assert list(hit.why) == ["“dog”", "not “a cat”"]
    how = {"where": "start_seconds<1", "include_query": True}
    (hit,) = search(clips=video, more_like=hit.clip_id, bank=readable, **how)  # type: ignore[arg-type]
    assert list(hit.why) == ["like a.mp4", f"like clip {hit.clip_id}"]


def test_a_searcher_takes_a_text_as_search_does(readable: Path) -> None:
    searcher = Searcher(readable)
    expected = searcher.search([Part("text", "a dog", 0.5)])
    assert searcher.search("a dog:0.5") == searcher.search(Part("text", "a dog", 0.5)) == expected
    assert len(searcher.matching("start_seconds<1")) == 1
    assert searcher.search("a dog", without=expected[0].video_id) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: extract("a.mp4", clips="nonsense"), "unknown choice of clips 'nonsense'; there are: whole"),
        (lambda: extract("a.mp4", device="gpu"), "unknown device 'gpu'; there are: auto, cpu, cuda, mps"),
        (lambda: extract("a.mp4", precision="fp16"), "unknown precision 'fp16'; there are: auto, float32"),
        (lambda: extract("a.mp4", decoder="vlc"), "unknown decoder 'vlc'; there are: "),
        (lambda: load_encoder("lite", device="gpu"), "unknown device 'gpu'"),
        (lambda: load_encoder("lite", precision="fp16"), "unknown precision 'fp16'"),
        (lambda: load_encoder("lite", num_frames=0), "at least 1 frame, not 0"),
        (lambda: Searcher(device="gpu"), "unknown device 'gpu'"),
        (lambda: predict(device="gpu"), "unknown device 'gpu'"),
        (lambda: Part("txt", "a dog"), "unknown kind of part 'txt'; there are: text, clip, image, hit"),
    ],
)
def test_a_wrong_word_is_refused_at_the_door_with_the_right_ones(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_every_verb_refuses_an_unknown_device_before_anything_else(bank: Path) -> None:
    before = sorted(bank.rglob("*"))
    public = {name: getattr(pipeline, name) for name in pipeline.__all__}
    verbs = {name: verb for name, verb in public.items() if inspect.isfunction(verb)}
    with_device = {name for name, verb in verbs.items() if "device" in inspect.signature(verb).parameters}
    assert len(with_device) > 10
    for name in {*with_device, "predict", "detect"}:
        parameters = inspect.signature(verbs[name]).parameters.values()
        needed = {one.name: "none" for one in parameters if one.default is one.empty and one.kind != one.VAR_KEYWORD}
        given = {"bank": bank} if any(one.name == "bank" for one in parameters) else {}
        with pytest.raises(UsageError, match="unknown device 'gpu'; there are: auto, cpu, cuda, mps"):
            verbs[name](**needed, **given, device="gpu")
    assert sorted(bank.rglob("*")) == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda bank: train_head(bank=bank, head="mlp", triplets="most"),
            "unknown triplets 'most'; there are: all, easy",
        ),
        (lambda bank: train_head(bank=bank, class_weight="even"), "unknown class_weight 'even'; there are: balanced"),
        (lambda bank: train_head(bank=bank, loss="mse"), "unknown loss 'mse'; there are: triplet"),
        (lambda bank: train_head(bank=bank, head="forest"), "unknown head 'forest'; there are: "),
        (lambda bank: train_head(bank=bank, calibrate="platt"), "unknown calibration 'platt'; there are: auto"),
        (lambda bank: train_head(bank=bank, head="knn", vote="most"), "unknown vote 'most'; there are: nearest"),
        (lambda bank: compare_heads(bank=bank, protocol="loo"), "unknown protocol 'loo'; there are: auto, holdout"),
        (lambda bank: bank_map(bank=bank, layout="tsne"), "unknown layout 'tsne'; there are: auto, pca, umap"),
        (lambda bank: Searcher(bank).search([]), "give a text, a clip, a picture"),
        (lambda bank: predict(bank=bank, head_name="a", prompts="b"), "give one of them"),
    ],
)
def test_a_message_of_the_python_api_lists_choices_and_names_no_flag(
    bank: Path, call: Callable[[Path], object], message: str
) -> None:
    with pytest.raises(ClipdexError, match=message) as error:
        call(bank)
    assert "--" not in str(error.value)


def test_threads_that_ask_at_once_load_the_encoder_once(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searcher = Searcher(bank)
    together = threading.Barrier(4)
    loaded: list[object] = []

    def load(*_: object, **__: object) -> object:
        loaded.append(object())
        time.sleep(0.05)  # as long as another thread needs to ask
        return loaded[-1]

    monkeypatch.setattr("pipeline.retrieval.searcher.load_for", load)

    def ask(_: int) -> object:
        together.wait(timeout=10)
        return searcher.encoder()

    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(ask, range(4)))
    assert len(loaded) == 1
    assert given == loaded * 4
