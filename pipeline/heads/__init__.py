"""Vectors -> labels. A head knows nothing of video.

Each file here is one kind of head: a scikit-learn classifier on (n, dim) float32 vectors that can be taken
apart into arrays and put together again, so that nothing is ever pickled. The names that other folders and users
import stand in ``__init__.pyi``; each is loaded when it is first used, so that a head without a network loads no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
