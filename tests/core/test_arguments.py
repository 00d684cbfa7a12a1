"""One thing stands for a list of one, and a closed choice is checked by its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.arguments import as_list, check_choice
from pipeline.core.errors import UsageError
from pipeline.core.types import Device


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a dog", ["a dog"]),
        (Path("a.mp4"), [Path("a.mp4")]),
        (5, [5]),
        ((), []),
        (("a", "b"), ["a", "b"]),
        ((letter for letter in "ab"), ["a", "b"]),
    ],
)
def test_a_single_value_becomes_a_list_of_one_and_several_stay_in_order(value: Any, expected: list[Any]) -> None:
    assert as_list(value) == expected


def test_a_word_that_is_no_choice_is_refused_with_those_that_are() -> None:
    check_choice("device", "cpu", Device)
    with pytest.raises(UsageError, match="unknown device 'gpu'; there are: auto, cpu, cuda, mps"):
        check_choice("device", "gpu", Device)
