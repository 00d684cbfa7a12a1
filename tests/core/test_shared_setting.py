"""Settings that several threads need are made once and undone by the last."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pipeline.core.shared_setting import SharedSetting


class Light:
    def __init__(self) -> None:
        self.switched: list[str] = []
        self.setting = SharedSetting(self._on)

    @contextlib.contextmanager
    def _on(self) -> Iterator[int]:
        self.switched.append("on")
        try:
            yield len(self.switched)
        finally:
            self.switched.append("off")


@pytest.mark.parametrize("first_out", [0, 1])
def test_the_last_one_undoes_it_in_whatever_order_they_leave(first_out: int) -> None:
    light = Light()
    users = [light.setting(), light.setting()]
    assert [user.__enter__() for user in users] == [1, 1]
    users.pop(first_out).__exit__(None, None, None)
    assert light.switched == ["on"]
    users.pop().__exit__(None, None, None)
    assert light.switched == ["on", "off"]
    with light.setting() as value:
        assert value == 3
    assert light.switched == ["on", "off"] * 2


def test_an_error_inside_is_passed_on_and_it_is_undone() -> None:
    light = Light()
    with pytest.raises(ValueError, match="no"), light.setting():
        raise ValueError("no")
    assert light.switched == ["on", "off"]


def test_a_setting_that_cannot_be_made_is_tried_again() -> None:
    tries = []

    @contextlib.contextmanager
    def fails_once() -> Iterator[None]:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not now")
        yield

    setting = SharedSetting(fails_once)
    with pytest.raises(OSError, match="not now"), setting():
        pass
    with setting():
        assert len(tries) == 2
