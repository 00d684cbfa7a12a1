"""Clipdex: find moments in folders of video, and teach new actions from a few clips.

The public names stand in ``__init__.pyi``, once, with the module that each comes from; a name is loaded when it is
first used, so that importing this package imports nothing heavy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
