"""Stored arrays compared with the shapes that they have to have, before anything is computed with them.

Arrays of other shapes may fit each other all the same: one of (n, 1) beside one of (1, n) makes NumPy allocate (n, n),
gigabytes from a file of kilobytes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...core.file_rows import FileRows, Stored

# Sizes of each axis by name: "2 width" is twice the size that is called "width".
Shapes = Mapping[str, tuple[str, ...]]
# The one axis that may be of size 0.
_MAYBE_NONE = "stored"


def check_shapes(arrays: Mapping[str, Stored], shapes: Shapes, sizes: Mapping[str, int]) -> dict[str, int]:
    """Compare arrays with their shapes.

    Args:
        shapes: axes of each array that has to be there.
        sizes: of the axes that are known; "classes" has to be among them. Others have to be alike wherever they occur.

    Returns:
        The sizes of all axes.

    Raises:
        ValueError: an array is missing or unknown, of another shape or type, not finite, or no class number.
    """
    if wrong := sorted(set(arrays) ^ set(shapes)):
        raise ValueError(f"its array {wrong[0]!r} is missing or unknown")
    found = dict(sizes)
    for name, axes in shapes.items():
        array = arrays[name]
        shape = () if not axes and array.shape == (1,) else array.shape  # a single number is stored in either way
        if len(shape) != len(axes):
            raise ValueError(f"its array {name!r} has the shape {shape} and needs {len(axes)} dimensions")
        for axis, size in zip(axes, shape, strict=True):
            times, _, called = axis.rpartition(" ")
            expected = found.setdefault(called, size // int(times or 1)) * int(times or 1)
            if size != expected or (size == 0 and called != _MAYBE_NONE):
                raise ValueError(f"its array {name!r} has the shape {shape}, with {size} {called} where {expected} fit")
        _check_values(name, array, classes=sizes["classes"])
    return found


def _check_values(name: str, array: Stored, *, classes: int) -> None:
    if isinstance(array, FileRows):
        for _, rows in array.blocks():
            _check_values(name, rows, classes=classes)
        return
    codes = name.startswith("codes")
    if array.dtype.kind not in ("iu" if codes else "f"):
        raise ValueError(f"its array {name!r} is of type {array.dtype}")
    if not array.size:
        return
    least, most = array.min(), array.max()  # both are NaN if any number is
    if codes and not 0 <= least <= most < classes:
        raise ValueError(f"its array {name!r} has class numbers from {least} to {most} for {classes} classes")
    if not np.isfinite(least) or not np.isfinite(most):
        raise ValueError(f"its array {name!r} holds numbers that are not finite")
