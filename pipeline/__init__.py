"""Clipdex: find moments in folders of video, and teach new actions from a few clips.

The verbs are functions (``from pipeline import extract, search, train_head, add_class, predict``), each in
the module of its name. Importing this package imports nothing heavy; a name is loaded when it is used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._answers import Hit, Prediction
    from ._errors import ClipdexError
    from ._recipe import Recipe
    from ._types import Limits, Moment, Span
    from .add_class import AddReport, add_class
    from .bank import Bank
    from .change_classes import remove_class, rename_class, undo
    from .clusters import bank_map, clusters
    from .compare import Comparison, compare
    from .compare_heads import compare_heads
    from .duplicates import duplicates
    from .encoders import load_encoder
    from .evaluate import Evaluation, evaluate
    from .evaluate_search import evaluate_search
    from .extract import extract
    from .heads import load_head
    from .heads._plain import as_scikit_learn
    from .import_head import import_head
    from .plan import Extraction
    from .predict import detect, predict
    from .query import Part
    from .retry import retry
    from .search import Searcher, search
    from .segments import Segment
    from .shots import shot_curves
    from .train import TrainReport, train_head
    from .watch import watch

__all__ = [
    "AddReport",
    "Bank",
    "ClipdexError",
    "Comparison",
    "Evaluation",
    "Extraction",
    "Hit",
    "Limits",
    "Moment",
    "Part",
    "Prediction",
    "Recipe",
    "Searcher",
    "Segment",
    "Span",
    "TrainReport",
    "__version__",
    "add_class",
    "as_scikit_learn",
    "bank_map",
    "clusters",
    "compare",
    "compare_heads",
    "detect",
    "duplicates",
    "evaluate",
    "evaluate_search",
    "extract",
    "import_head",
    "load_encoder",
    "load_head",
    "predict",
    "remove_class",
    "rename_class",
    "retry",
    "search",
    "shot_curves",
    "train_head",
    "undo",
    "watch",
]

_WHERE = {
    "AddReport": "add_class",
    "Bank": "bank",
    "ClipdexError": "_errors",
    "Comparison": "compare",
    "Evaluation": "evaluate",
    "Extraction": "plan",
    "Hit": "_answers",
    "Limits": "_types",
    "Moment": "_types",
    "Part": "query",
    "Prediction": "_answers",
    "Recipe": "_recipe",
    "Searcher": "search",
    "Segment": "segments",
    "Span": "_types",
    "TrainReport": "train",
    "add_class": "add_class",
    "as_scikit_learn": "heads._plain",
    "bank_map": "clusters",
    "clusters": "clusters",
    "compare": "compare",
    "compare_heads": "compare_heads",
    "detect": "predict",
    "duplicates": "duplicates",
    "evaluate": "evaluate",
    "evaluate_search": "evaluate_search",
    "extract": "extract",
    "import_head": "import_head",
    "load_encoder": "encoders",
    "load_head": "heads",
    "predict": "predict",
    "remove_class": "change_classes",
    "rename_class": "change_classes",
    "retry": "retry",
    "search": "search",
    "shot_curves": "shots",
    "train_head": "train",
    "undo": "change_classes",
    "watch": "watch",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Verbs and their modules share names; the name belongs to the verb.

    Importing a submodule binds it in its package; where the package promises a function of that name, the
    function is bound instead. ``from pipeline.extract import Progress`` reaches the module as ever.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and _WHERE.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
