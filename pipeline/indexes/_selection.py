"""Which rows a FAISS index may find."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt


class Selection:
    """Search parameters that let only some rows through; it has to live as long as they are used.

    Args:
        allowed: (rows,), or None for all.
    """

    def __init__(self, allowed: npt.NDArray[np.bool_] | None) -> None:
        self.parameters: Any = None
        if allowed is not None:
            self._bits = np.packbits(allowed, bitorder="little")  # FAISS reads them where they are
            chosen = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))
            self.parameters = faiss.SearchParameters(sel=chosen)  # type: ignore[call-arg]
