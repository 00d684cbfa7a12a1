"""The rules of the package's structure: floors, no circles, who may name which library, and the size of a module."""

from __future__ import annotations

import ast
import graphlib
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

# From the ground up. A folder imports from lower floors only, never from a neighbour on its own floor.
FLOORS = (
    ("_version", "core"),
    ("decoders", "heads", "indexes", "sources"),
    ("encoders",),
    ("bank",),
    ("extraction",),
    ("classification", "retrieval"),
    ("evaluation", "maintenance"),
    ("report",),
    ("studio",),
    ("commands",),
    ("__main__",),
)

# Which folders or modules may name a library.
KNOWN_IN = {
    "av": ("decoders",),
    "cv2": ("encoders._families.optical_flow",),
    "decord": ("decoders",),
    "execnet": ("decoders",),
    "faiss": ("indexes", "heads.knn"),
    "click": ("commands",),
    "fsspec": ("core.object_store", "sources.at_addresses"),
    "platformdirs": ("core.local_copies",),
    "onnx": ("heads._graph", "heads._trained.onnx"),
    "matplotlib": ("report",),
    "torch": ("encoders", "heads.mlp", "heads.temporal", "heads._layers", "heads._network"),
    "transformers": ("encoders",),
    "openvino": ("encoders._runtime.openvino",),
    "pyparsing": ("retrieval.filters",),
    "pyarrow": ("bank", "sources.tables", "maintenance"),
    "pytorch_metric_learning": ("heads._network",),
    "fastapi": ("studio",),
    "starlette": ("studio",),
    "uvicorn": ("studio",),
    "mcp": ("studio",),
    "jinja2": ("report", "studio"),
    "rich": ("commands",),
}

# What a bank is stored in is known to a storage alone: these folders hold no file operations but those listed here.
STORED_IN = ("bank", "heads", "indexes", "classification", "retrieval", "maintenance")
FILE_MODULES = {"shutil", "tempfile", "filelock", "fcntl", "glob"}
FILE_METHODS = {
    *("write_text", "write_bytes", "read_text", "read_bytes", "mkdir", "rmdir", "unlink", "rename", "touch"),
    *("hardlink_to", "symlink_to", "iterdir", "glob", "rglob", "tofile", "fromfile", "memmap", "write_index"),
}
FILE_FUNCTIONS = {
    "replacing",
    "temporary_for",
    "make_folder",
    "bytes_in",
    "sync_file",
    "sync_folder",
    "same_file",
    "sweep",
}
_LOCAL = "in a folder on the local disk that a storage gave, for FAISS and memory maps"
FILES_OF_THEIR_OWN = {
    "indexes._checked": ({"iterdir", "open", "read_bytes", "write_text"}, _LOCAL),
    "indexes._local": ({"open", "read_text"}, _LOCAL),
    "indexes._rescored": ({"read_text", "write_index", "write_text"}, _LOCAL),
    "indexes._rows": ({"memmap", "open", "read_text", "tempfile", "write_text"}, _LOCAL),
    "indexes._segments": ({"fromfile", "hardlink_to", "memmap", "open", "tofile"}, _LOCAL),
    "indexes.sq8": ({"read_text", "write_text"}, _LOCAL),
    "heads._trained.onnx": ({"replacing", "write_bytes"}, "a file that the user names"),
    "classification.exports": ({"mkdir", "write_text"}, "files that the user names"),
}


def folder_of(module: str) -> str:
    return module.split(".")[0]


def imports(module: str) -> tuple[set[str], set[str]]:
    """Modules of this package and outside libraries that a module names, inside functions and for types too."""
    own, foreign = set(), set()
    parts = module.split(".") if module else []
    package = parts if MODULES[module].name == "__init__.py" else parts[:-1]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            foreign |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            foreign.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            source = ".".join([*base, *(node.module.split(".") if node.module else [])])
            for name in node.names:
                full = f"{source}.{name.name}".lstrip(".")
                own.add(full if full in MODULES else source)
    return own - {module}, foreign


def file_operations(text: str) -> set[str]:
    """What code does to files by itself."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = (getattr(node, "module", None) or "").split(".")[0]
            names = {name.name.split(".")[0] for name in node.names}
            found |= FILE_MODULES & {source, *names}
            found |= FILE_FUNCTIONS & names if (getattr(node, "module", None) or "").endswith("files") else set()
            found |= {"replace", "rename", "link", "open", "remove", "makedirs"} & names if source == "os" else set()
        if not isinstance(node, ast.Call):
            continue
        called, arguments = node.func, [*node.args, *node.keywords]
        if isinstance(called, ast.Name) and called.id == "open":
            found.add("open")
        if isinstance(called, ast.Attribute):
            is_os = isinstance(called.value, ast.Name) and called.value.id == "os"
            # Of text and of dataclasses it takes more; a file is opened by its path, for a mode at most.
            is_path = called.attr == "replace" and len(arguments) == 1
            is_open = called.attr == "open" and all(isinstance(one, ast.Constant) for one in node.args)
            if called.attr in FILE_METHODS or is_path or is_open:
                found.add(called.attr)
            if is_os and called.attr in {"replace", "rename", "link", "open", "remove", "makedirs"}:
                found.add(called.attr)
    return found


def is_known_in(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def test_every_folder_has_one_floor() -> None:
    named = [folder for floor in FLOORS for folder in floor]
    assert sorted(named) == sorted({folder_of(module) for module in MODULES} - {""})


@pytest.mark.parametrize("module", [module for module in MODULES if module])
def test_imports_point_to_lower_floors(module: str) -> None:
    floor_of = {folder: number for number, floor in enumerate(FLOORS) for folder in floor}
    for target in imports(module)[0] - {""}:
        if folder_of(target) != folder_of(module):
            assert floor_of[folder_of(target)] < floor_of[folder_of(module)], f"{module} imports {target}"


def test_no_import_runs_in_a_circle() -> None:
    # A part is found by its file's name, so that a folder's __init__ names none of them.
    graphlib.TopologicalSorter({module: imports(module)[0] for module in MODULES}).prepare()


@pytest.mark.parametrize("library", KNOWN_IN)
def test_a_library_is_named_only_in_its_folders(library: str) -> None:
    for module in MODULES:
        if library in imports(module)[1]:
            assert is_known_in(module, KNOWN_IN[library]), f"{module} names {library}"


@pytest.mark.parametrize("module", [module for module in MODULES if folder_of(module) in STORED_IN])
def test_a_bank_is_stored_through_a_storage_only(module: str) -> None:
    assert file_operations(MODULES[module].read_text()) == FILES_OF_THEIR_OWN.get(module, (set(), ""))[0], module


@pytest.mark.parametrize(
    "line",
    [
        *(
            "open('a')",
            "path.open('rb')",
            "path.open()",
            "path.write_text('')",
            "path.replace(other)",
            "path.glob('*')",
        ),
        *("os.replace(a, b)", "from os import link", "import shutil", "from filelock import FileLock"),
        *("from ..core.files import replacing", "import os, tempfile", "faiss.write_index(a, b)", "np.memmap(path)"),
    ],
)
def test_a_file_operation_is_noticed(line: str) -> None:
    assert file_operations(line)


@pytest.mark.parametrize(
    "line",
    [
        *("text.replace('a', 'b')", "dataclasses.replace(a, b=1)", "storage.replace(path, content)", "open_bank(a)"),
        *("storage.read(path)", "process.open(path, decoder=name)", "from ..core.files import name_of"),
    ],
)
def test_what_is_no_file_operation_is_let_through(line: str) -> None:
    assert not file_operations(line)


@pytest.mark.parametrize("module", MODULES)
def test_a_docstring_stands_on_its_own(module: str) -> None:
    assert '"""The same, ' not in MODULES[module].read_text()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_at_most_300_lines_and_a_function_fits_a_screen(module: str) -> None:
    text = MODULES[module].read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 70, f"{module}.{node.name}"


@pytest.mark.parametrize("module", MODULES)
def test_a_function_has_at_most_8_parameters_and_a_public_one_types_its_options(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        # scikit-learn reads an estimator's parameters from the signature of its constructor.
        if not (node.name == "__init__" and folder_of(module) == "heads"):
            count = sum(argument.arg not in ("self", "cls") for argument in given)
            assert count <= 8, f"{module}.{node.name} has {count} parameters"
        if not node.name.startswith("_") and node.args.kwarg is not None:
            kind = ast.unparse(node.args.kwarg.annotation) if node.args.kwarg.annotation else "Any"
            assert "Any" not in kind, f"{module}.{node.name} takes **{node.args.kwarg.arg}: {kind}"


@pytest.mark.parametrize("module", [module for module in MODULES if re.match(r"commands\.[^_]", module)])
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
    heavy = ["torch", "transformers", "av", "cv2", "faiss", "sklearn", "scipy", "pyarrow", "numpy", "rich", "jinja2"]
    program = (
        "import sys, pipeline, pipeline.commands as c\n"
        "try: c.main(['--help'])\nexcept SystemExit: pass\n"
        "try: c.main(['extract', '--help'])\nexcept SystemExit: pass\n"
        f"print('LOADED', [name for name in {heavy} if name in sys.modules and name != 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout, done.stdout[-300:]


def test_public_names_are_functions_and_classes_whatever_was_imported_first() -> None:
    program = (
        "import pipeline.extraction.extract, pipeline.retrieval.searcher\n"
        "from pipeline import extract, search, predict, add_class, train_head\n"
        "print([type(verb).__name__ for verb in (extract, search, predict, add_class, train_head)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(["function"] * 5)


def test_every_public_name_exists() -> None:
    assert len(pipeline.__all__) > 30
    for name in pipeline.__all__:
        assert getattr(pipeline, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        pipeline.nothing  # noqa: B018


def test_verbs_reach_heads_and_labels_only_after_interrupted_changes_were_finished() -> None:
    # These two reach labels with a head's lock held.
    at_work = ("classification.add_class", "classification.edit_classes")
    below = ("core", "decoders", "heads", "indexes", "sources", "encoders", "bank")
    for module in MODULES:
        if module in at_work or folder_of(module) in ("", "_version", "__main__", *below):
            continue
        text = MODULES[module].read_text()
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        assert "Labels" not in names, f"{module} has to use labels_in"
        assert '/ "heads"' not in text or module == "maintenance.doctor", f"{module} has to use heads_in"
