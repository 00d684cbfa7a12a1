"""Colours of plots."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.report.plots import _oklab, different_colours


@pytest.mark.parametrize("count", [2, 10, 30])
def test_colours_of_a_map_differ_to_the_eye(count: int) -> None:
    colours = different_colours(count)
    assert len(set(colours)) == count
    seen = _oklab(np.array([[int(one[at : at + 2], 16) / 255 for at in (1, 3, 5)] for one in [*colours, "#9a9a9a"]]))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + np.eye(count + 1)
    assert apart.min() > 0.07  # about three times a difference that is just noticed side by side


def test_the_colour_space_is_that_of_its_source() -> None:
    known = {(1, 1, 1): (1, 0, 0), (1, 0, 0): (0.6280, 0.2249, 0.1258), (0, 0, 1): (0.4520, -0.0325, -0.3115)}
    for rgb, lab in known.items():
        assert np.allclose(_oklab(np.array([rgb], float))[0], lab, atol=1e-3)
