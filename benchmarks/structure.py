"""Measure how a package is put together, and draw its floors.

    python benchmarks/structure.py                          this checkout
    python benchmarks/structure.py --package OTHER/pipeline another one, for a comparison
    python benchmarks/structure.py --draw docs/architecture.png

Counts what makes a package hard to walk through: entries at the top, import arrows between folders, circles (imports
inside functions and for types included), long modules, many parameters, untyped options, missing docstrings, and words
that readers stumbled over.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]

MOST_LINES, MOST_PARAMETERS = 300, 8

# Expressions that readers stumbled over, most of them metaphors in the place of a term.
DIALECT = re.compile(
    r"not to be had|knows no |\bsings?\b|\bsung\b|is told\b|what was asked|what was said|the like of|lean[s]? on", re.I
)

# From the ground up, each with what flows through it.
FLOORS = (
    (("core", "types, errors, files"),),
    (("sources", "videos -> clips"), ("decoders", "times -> frames"), ("indexes", "neighbours"), ("heads", "classes")),
    (("encoders", "frames, texts -> vectors"),),
    (("bank", "Parquet parts, labels"),),
    (("extraction", "sources -> bank"),),
    (("retrieval", "query -> moments"), ("classification", "labels -> head -> predictions")),
    (("evaluation", "how good"), ("maintenance", "compact, prune, doctor")),
    (("report", "pages, plots, exports"),),
    (("commands", "click"),),
)


def modules_of(package: Path) -> dict[str, Path]:
    """Path by dotted name inside the package; the package itself is ''."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = list(path.relative_to(package).with_suffix("").parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(name: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """Modules of the package that one imports, anywhere in its text."""
    package = name.split(".") if path.name == "__init__.py" and name else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            source = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            for alias in node.names:
                full = ".".join([*filter(None, source), alias.name])
                found.add(full if full in modules else full.rpartition(".")[0])
    return {target for target in found if target in modules} - {name, ""}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that can reach each other."""
    names = sorted(arrows)
    places = {name: place for place, name in enumerate(names)}
    pairs = [(places[name], places[target]) for name, targets in arrows.items() for target in targets]
    rows, columns = zip(*pairs, strict=True)
    graph = coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(names), len(names)))
    _, group = connected_components(graph, connection="strong")
    return [[names[place] for place in np.flatnonzero(group == one)] for one, n in Counter(group).items() if n > 1]


def functions(package: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function and method, with the module it stands in."""
    for name, path in modules_of(package).items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield name, node


def has_many_parameters(module: str, node: ast.FunctionDef) -> bool:
    """Whether a function has more parameters than anybody can keep in mind. The constructor of a head is exempt:
    scikit-learn reads an estimator's parameters from its signature (``get_params``), so they stand there one by one.
    """
    return num_parameters(node) > MOST_PARAMETERS and not (node.name == "__init__" and module.startswith("heads."))


def num_parameters(node: ast.FunctionDef) -> int:
    """Parameters of a function without ``self``; a dictionary of keywords does not count."""
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in given)


def has_untyped_options(node: ast.FunctionDef) -> bool:
    """Whether a public function takes any keyword, of any type."""
    rest = node.args.kwarg
    return not node.name.startswith("_") and rest is not None and "Any" in ast.dump(rest.annotation or ast.Name("Any"))


def measure(package: Path) -> dict[str, object]:
    """The counts, and by name what stands out."""
    modules = modules_of(package)
    arrows = {name: imports(name, path, modules) for name, path in modules.items() if name}
    between = {(name.split(".")[0], target.split(".")[0]) for name, targets in arrows.items() for target in targets}
    folders = {path.parent for path in modules.values()} - {package}
    many, untyped, bare = [], [], []
    for name, node in functions(package):
        if has_many_parameters(name, node):
            many.append(f"{name}.{node.name} ({num_parameters(node)})")
        if has_untyped_options(node):
            untyped.append(f"{name}.{node.name}")
        if not node.name.startswith("_") and ast.get_docstring(node) is None:
            bare.append(f"{name}.{node.name}")
    texts = {
        path: path.read_text()
        for path in [*modules.values(), *package.parent.glob("*.md"), *package.parent.glob("docs/*.md")]
    }
    return {
        "entries at the top": len({path.relative_to(package).parts[0] for path in modules.values()} - {"__init__.py"}),
        "modules": len(modules),
        "folders": len(folders),
        "arrows between top entries": len({pair for pair in between if pair[0] != pair[1]}),
        "circles": circles(arrows),
        f"modules above {MOST_LINES} lines": [
            name for name, path in modules.items() if path.read_text().count("\n") > MOST_LINES
        ],
        f"functions above {MOST_PARAMETERS} parameters": many,
        "public functions with **options: Any": untyped,
        "public functions without docstring": len(bare),
        "lines with words that readers stumbled over": sum(
            bool(DIALECT.search(line)) for text in texts.values() for line in text.splitlines()
        ),
    }


def draw(target: Path) -> None:
    """The floors as rows of boxes, the ground floor at the bottom."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 7.2), dpi=110)
    for floor, rooms in enumerate(FLOORS):
        width = 10 / len(rooms)
        for place, (name, words) in enumerate(rooms):
            left = place * width
            box = plt.Rectangle((left + 0.06, floor + 0.1), width - 0.12, 0.8, facecolor="#e8eef7", edgecolor="#4a6fa5")
            axes.add_patch(box)
            axes.text(left + width / 2, floor + 0.62, name, ha="center", va="center", fontsize=12, weight="bold")
            axes.text(left + width / 2, floor + 0.32, words, ha="center", va="center", fontsize=9, color="#333333")
    axes.annotate(
        "imports point down",
        (10.35, 0.2),
        (10.35, len(FLOORS) - 0.2),
        rotation=90,
        ha="center",
        va="top",
        fontsize=10,
        arrowprops={"arrowstyle": "->", "color": "#4a6fa5"},
    )
    axes.set(xlim=(0, 10.8), ylim=(0, len(FLOORS)))
    axes.axis("off")
    figure.savefig(target, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=ROOT / "pipeline")
    parser.add_argument("--draw", type=Path, metavar="PNG")
    arguments = parser.parse_args()
    for name, value in measure(arguments.package.resolve()).items():
        number = len(value) if isinstance(value, list) else value
        named = f"  {json.dumps(value)}" if isinstance(value, list) and value else ""
        print(f"{name}: {number}{named}")
    if arguments.draw is not None:
        draw(arguments.draw)


if __name__ == "__main__":
    main()
