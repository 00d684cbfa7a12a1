"""The house's own rules: floors, no cycles, who may know which library, and modules that fit a head."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

PACKAGE = Path(pipeline.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# From the ground up. A module may import what is below it; on the parts' floor nobody imports a neighbour.
GROUND, TOOLS, PARTS, VERBS, REPORT, FRONT = range(6)
FLOORS = {
    **dict.fromkeys(("_errors", "_types", "_recipe", "_version", "_answers"), GROUND),
    **dict.fromkeys(
        (
            "_registry",
            "_files",
            "_processes",
            "_parquet",
            "_verified",
            "_label_parts",
            "_kept",
            "_schema",
            "_tables",
            "_clip_table",
            "_outcomes",
            "_rewriting",
            "_profile",
            "preprocess",
            "clips",
            "metrics",
            "vectors",
            "calibration",
            "segments",
            "grouping",
        ),
        TOOLS,
    ),
    **dict.fromkeys(("catalog", "bank", "labels", "decoders", "encoders", "indexes", "heads"), PARTS),
    **dict.fromkeys(
        (
            "stored",
            "events",
            "reading",
            "outcome",
            "encoding",
            "writing",
            "filters",
            "moments",
            "query",
            "duplicates",
            "clusters",
            "evaluate_search",
            "indexing",
            "index_store",
            "labelling",
            "demo",
            "doctor",
            "info",
        ),
        VERBS,
    ),
    **dict.fromkeys(("extract", "search", "train", "validation", "predict"), VERBS),
    **dict.fromkeys(
        ("add_class", "class_effects", "change_classes", "head_changes", "compare", "import_head", "import_features"),
        VERBS,
    ),
    **dict.fromkeys(
        ("examples", "retrieval", "judging", "evaluate", "shots", "compare_heads", "import_features"), VERBS
    ),
    **dict.fromkeys(("plan", "retry", "side_by_side", "watch", "upkeep"), VERBS),
    "report": REPORT,
    "__main__": FRONT + 1,
    "commands": FRONT,
}

# Which rooms may name a library.
KNOWN_IN = {
    "av": ("decoders",),
    "decord": ("decoders",),
    "execnet": ("decoders",),
    "faiss": ("indexes", "heads.knn"),
    "click": ("commands",),
    "onnx": ("heads._onnx",),
    "matplotlib": ("report",),
    "torch": ("encoders", "preprocess", "heads.mlp", "heads.temporal", "heads._network", "heads._space"),
    "transformers": ("encoders",),
    "openvino": ("encoders._openvino",),
    "pyparsing": ("filters",),
    "pyarrow": (
        "bank",
        "labels",
        "_clip_table",
        "_kept",
        "_verified",
        "_label_parts",
        "_outcomes",
        "_parquet",
        "_rewriting",
        "_schema",
        "_tables",
    ),
    "pytorch_metric_learning": ("heads._network",),
    "jinja2": ("report",),
    "rich": ("report",),
}


def room(module: str) -> str:
    return module.split(".")[0]


def imports(module: str) -> tuple[set[str], set[str]]:
    """Modules of this package and outside libraries that a module names, inside functions too.

    What is imported for type checking alone does not run and does not count.
    """
    tree = ast.parse(MODULES[module].read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    own, foreign = set(), set()
    parts = module.split(".") if module else []
    package = parts if MODULES[module].name == "__init__.py" else parts[:-1]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            foreign |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            foreign.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            for name in node.names:
                full = ".".join([*base, *(node.module or "").split("."), name.name]).replace("..", ".").strip(".")
                own.add(full if full in MODULES else full.rpartition(".")[0])
    return own - {""}, foreign


def test_every_module_has_a_floor() -> None:
    assert {room(module) for module in MODULES} - {""} == set(FLOORS)


@pytest.mark.parametrize("module", [module for module in MODULES if module])
def test_imports_point_down_only(module: str) -> None:
    for target in imports(module)[0]:
        here, there = FLOORS[room(module)], FLOORS[room(target)]
        if room(module) == room(target):
            continue
        allowed = here >= there if here in (TOOLS, VERBS, GROUND) else here > there
        assert allowed, f"{module} (floor {here}) imports {target} (floor {there})"


def test_no_import_runs_in_a_circle() -> None:
    edges = {module: imports(module)[0] for module in MODULES if module}
    # A part's file and its folder's __init__ name each other: the contract is defined before a part is loaded.
    edges = {
        module: {target for target in targets if room(target) != room(module)} for module, targets in edges.items()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for target in edges.get(module, ()):
                visit(target, (*path, module))
            done.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("library", KNOWN_IN)
def test_a_library_is_known_only_in_its_rooms(library: str) -> None:
    rooms = KNOWN_IN[library]
    for module in MODULES:
        if library in imports(module)[1]:
            assert room(module) in rooms or module in rooms, f"{module} knows {library}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_fits_a_head(module: str) -> None:
    text = MODULES[module].read_text()
    assert text.count("\n") <= 300
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 70, f"{module}.{node.name}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("commands.")])
def test_the_body_of_a_command_is_at_most_15_lines(module: str) -> None:
    for node in ast.parse(MODULES[module].read_text()).body:
        if isinstance(node, ast.FunctionDef):
            body = [part for part in node.body if not isinstance(getattr(part, "value", None), ast.Constant)]
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 15, f"{module}.{node.name}: {lines} lines"


def test_nothing_unpickles_or_trusts_remote_code() -> None:
    for path in MODULES.values():
        text = path.read_text()
        for word in ("import pickle", "joblib", "weights_only=False", "trust_remote_code=True", "shell=True"):
            assert word not in text, f"{path.name}: {word}"
        assert not re.search(r"(?<![.\w])(eval|exec)\(", text), path.name


def test_help_and_the_package_load_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "av", "faiss", "sklearn", "pyarrow", "numpy", "rich", "jinja2"]
    program = (
        "import sys, pipeline, pipeline.commands as c\n"
        "try: c.main(['--help'])\nexcept SystemExit: pass\n"
        "try: c.main(['extract', '--help'])\nexcept SystemExit: pass\n"
        f"print('LOADED', [name for name in {heavy} if name in sys.modules and name != 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout, done.stdout[-300:]


def test_the_verbs_are_functions_whatever_was_imported_first() -> None:
    program = (
        "import pipeline.extraction.extract, pipeline.retrieval.searcher\n"
        "from pipeline.extraction.extract import Progress\n"
        "from pipeline import extract, search, predict, add_class, train_head\n"
        "print([type(verb).__name__ for verb in (extract, search, predict, add_class, train_head)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(["function"] * 5)


def test_every_public_name_exists_and_is_listed() -> None:
    assert pipeline.__all__ == sorted(pipeline.__all__)
    for name in pipeline.__all__:
        assert getattr(pipeline, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pipeline.nothing  # noqa: B018


def test_verbs_reach_heads_and_labels_only_after_interrupted_changes_were_finished() -> None:
    at_work = {"head_changes", "add_class", "change_classes"}  # the latter two reach labels with a head's lock held
    for module in MODULES:
        if FLOORS.get(room(module)) != VERBS or module in at_work:
            continue
        names = {node.id for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.Name)}
        assert "Labels" not in names, f"{module} has to use labels_in"
        assert '/ "heads"' not in MODULES[module].read_text() or module == "doctor", f"{module} has to use heads_in"
