"""Videos are read while the encoder is loaded, and the encoder takes what is there rather than wait for more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import Bank, extract, load_encoder
from pipeline.core.errors import EncoderError
from pipeline.encoders import EncoderInput, encoders
from pipeline.extraction import early_reading
from pipeline.extraction.reader import Reader
from pipeline.extraction.reader_events import Event, Idle, Read
from pipeline.extraction.runners import local
from pipeline.sources.sampling import Sampling

_LONG_SECONDS = 100.0  # that nobody waits unless something is wrong


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return tmp_path / "bank"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """It is set as soon as a clip was read."""
    happened = threading.Event()
    honest = Reader._put

    def put(reader: Reader, event: Event) -> bool:
        if isinstance(event, Read):
            happened.set()
        return honest(reader, event)

    monkeypatch.setattr(Reader, "_put", put)
    return happened


def while_loading(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something when VideoMAE's weights are about to be loaded."""
    part = encoders.get("videomae")
    honest = part.load.__func__

    def load(cls: type, *arguments: object, **options: object) -> object:
        act()
        return honest(cls, *arguments, **options)

    monkeypatch.setattr(part, "load", classmethod(load))


def test_clips_are_read_before_the_weights_are_loaded(
    videos: Path, bank: Path, videomae: Path, read: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_read = []
    while_loading(monkeypatch, lambda: was_read.append(read.wait(_LONG_SECONDS)))
    done = extract([videos], bank=bank, encoder=str(videomae))
    assert (was_read, done.count("ok"), done.encoded_clips) == ([True], 3, 3)


def test_the_time_of_a_run_holds_that_of_loading(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_loading(monkeypatch, lambda: time.sleep(0.5))
    done = extract([videos], bank=bank, encoder=str(videomae))
    assert done.profile["load"] > 0.5
    assert done.seconds >= sum(done.profile[name] for name in ("load", "wait", "encode", "write"))


def test_of_a_banks_own_encoder_only_what_is_new_is_read_meanwhile(
    videos: Path, bank: Path, videomae: Path, read: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract([videos / "red"], bank=bank, encoder=str(videomae))
    read.clear()
    was_read = []
    while_loading(monkeypatch, lambda: was_read.append(read.wait(_LONG_SECONDS)))
    done = extract([videos], bank=bank)
    assert (was_read, done.count("unchanged"), done.encoded_clips) == ([True], 2, 1)


def test_an_encoder_that_cannot_be_loaded_ends_the_reading_and_stores_nothing(
    videos: Path, bank: Path, videomae: Path, read: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        assert read.wait(_LONG_SECONDS)
        raise EncoderError("the weights are damaged")

    before = set(threading.enumerate())
    while_loading(monkeypatch, fail)
    with pytest.raises(EncoderError, match="the weights are damaged"):
        extract([videos], bank=bank, encoder=str(videomae))
    assert not [thread for thread in set(threading.enumerate()) - before if "_work" in thread.name]
    assert not Bank(bank).recipes()


def test_threads_that_wait_for_an_encoder_end_when_it_cannot_be_loaded(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing says what the encoder takes, so none of them can decode."""

    def fail(*_: object, **__: object) -> None:
        raise EncoderError("no such weights")

    before = set(threading.enumerate())
    monkeypatch.setattr(local, "loaded_encoder", fail)
    with pytest.raises(EncoderError, match="no such weights"):
        extract([videos], bank=bank, encoder=str(videomae))
    assert not [thread for thread in set(threading.enumerate()) - before if "_work" in thread.name]


def test_what_a_bank_turns_out_to_hold_is_not_encoded_again(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract([videos], bank=bank, encoder=str(videomae))
    monkeypatch.setattr(early_reading, "may_be_of", lambda *_: False)
    honest, open_readers, at_once = Reader.start, [], []

    def start(reader: Reader) -> None:
        open_readers.append(reader)
        at_once.append(len(open_readers))
        honest(reader)

    def close(reader: Reader, closed: Any = Reader.close) -> None:
        closed(reader)
        open_readers.remove(reader)

    monkeypatch.setattr(Reader, "start", start)
    monkeypatch.setattr(Reader, "close", close)
    done = extract([videos], bank=bank, encoder=str(videomae))
    assert (done.count("unchanged"), done.encoded_clips) == (3, 0)
    assert (at_once, open_readers) == ([1, 1], [])  # what started early has ended before the second starts


def test_an_encoder_that_takes_something_else_than_it_said_is_refused(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = EncoderInput(Sampling(7), load_encoder(str(videomae)).facts.preprocessing)
    monkeypatch.setattr(encoders.get("videomae"), "input_of", lambda *_, **__: wrong)
    with pytest.raises(EncoderError, match="before it was loaded it said .*num_frames=7"):
        extract([videos], bank=bank, encoder=str(videomae))
    assert not Bank(bank).recipes()


def test_an_idle_encoder_takes_what_is_there_and_vectors_do_not_depend_on_it(
    videos: Path, tmp_path: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(str(videomae))
    honest, events, sizes = encoder.submit, Reader.events, []

    def submit(pixels: Any, **options: Any) -> Any:
        sizes.append(len(pixels))
        return honest(pixels, **options)

    def extracted(name: str) -> dict[str, np.ndarray]:
        sizes.clear()
        done = extract([videos], bank=tmp_path / name, encoder=encoder, batch_size=8)
        opened = Bank(tmp_path / name)
        return dict(zip(opened.clips(done.recipe.id).ids, opened.embeddings(done.recipe.id), strict=True))

    def slow(reader: Reader) -> Iterator[Event]:
        for event in events(reader):
            if not isinstance(event, Idle):
                yield event
                yield Idle()

    monkeypatch.setattr("pipeline.extraction.encode_loop.choose_route", lambda encoder, _: encoder)
    monkeypatch.setattr(encoder, "submit", submit)
    monkeypatch.setattr(Reader, "events", slow)
    one_by_one = extracted("slow")
    assert sizes == [1, 1, 1]
    monkeypatch.setattr(Reader, "events", lambda reader: (one for one in events(reader) if not isinstance(one, Idle)))
    together = extracted("fast")
    assert sizes == [1, 2]  # the first clip goes alone
    for name, vector in together.items():
        assert one_by_one[name] == pytest.approx(vector, abs=1e-5)
