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
    """

    def __init__(self, allowed: npt.NDArray[np.bool_] | None, kind: Any = faiss.SearchParameters, **more: Any) -> None:
        if allowed is None:
            self.parameters: Any = kind(**more) if more else None
        else:
            self._bits = np.packbits(allowed, bitorder="little")  # FAISS reads them where they are
            self._chosen = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))
            self.parameters = kind(sel=self._chosen, **more)
