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
        kind: FAISS's class of parameters for the kind of index, with what else it takes.

    Attributes:
        parameters, chosen: the same as FAISS's indexes and as its plain functions take it; None for all.
    """

    def __init__(self, allowed: npt.NDArray[np.bool_] | None, kind: Any = faiss.SearchParameters, **more: Any) -> None:
        self.chosen: Any = None
        if allowed is None:
            self.parameters: Any = kind(**more) if more else None
        else:
            self._bits = np.packbits(allowed, bitorder="little")  # FAISS reads them where they are
            self.chosen = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))
            self.parameters = kind(sel=self.chosen, **more)
