"""Run the numeric tests on other processors' code paths, thread counts, places and package versions.

``make test-matrix`` runs every cell, ``make test-matrix CELLS="openblas-haswell threads-1"`` these; ``--select`` is
pytest's ``-k``. Plain child processes: a cell is a variable or a folder, not only a virtual environment as in nox. It
passes only if the process that ran its tests also saw its setting (``matrix_facts.py``).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".matrix"
LIMIT_SECONDS = 1800  # against hanging: on a quiet machine a cell takes one to three minutes
FOLDER = "Ein Ördner 動画"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One way to run the tests: variables, the marked or named tests, where, by which Python, beside what."""

    name: str
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    shows: dict[str, object] = dataclasses.field(default_factory=dict)  # facts that the tests' process must report
    tests: tuple[str, ...] = ("-m", "numeric")
    place: Callable[[], contextlib.AbstractContextManager[Path]] = lambda: contextlib.nullcontext(ROOT)
    python: str = ""  # the version; of this Python if there is none
    pins: str = ""  # the file of versions of an environment of its own
    wrapper: tuple[str, ...] = ()
    load: bool = False
    flag: str = ""  # of the processor, which it needs
    cores: int = 1  # that it needs


class Skipped(Exception):
    """This machine cannot run the cell; the message is the reason."""


class Failed(Exception):
    """The cell did not run as it should; the message says why."""


@contextlib.contextmanager
def copied(*, read_only: bool = False) -> Iterator[Path]:
    """A copy of the tree in a folder with spaces and letters outside ASCII."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / FOLDER
        names = shutil.ignore_patterns(".git", ".venv", ".matrix", ".hypothesis", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, tree, ignore=names)
        modes = "a-w" if read_only else "u+w"
        subprocess.run(["chmod", "-R", modes, str(tree)], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(tree)], check=True)


def interpreter(version: str) -> str:
    """A Python of this version on PATH or among those of pyenv."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    others = sorted(str(path) for path in versions.glob(f"{version}.*/bin/python"))
    for found in filter(None, [shutil.which(f"python{version}"), *others]):
        # pyenv puts a name on PATH for each version it has, and most only say that they are not active.
        if subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    raise Skipped(f"there is no python{version} on PATH or in pyenv")


def environment(cell: Cell) -> str:
    """The Python of a cached environment with all extras at the cell's versions, made anew when these change."""
    base = interpreter(cell.python)
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        raise Skipped("uv, which makes its environment, is not on PATH")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [base, project["dependencies"], project["optional-dependencies"], (ROOT / cell.pins).read_text()]
    digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
    folder = CACHE / cell.name
    inside, made = folder / "bin" / "python", folder / "made-from"
    if not made.exists() or made.read_text() != digest:
        install = [uv, "pip", "install", "-q", "--python", str(inside), "-r", "pyproject.toml", "--extra", "dev"]
        for command in ([uv, "venv", "-q", "--clear", "--python", base, str(folder)], [*install, "-c", cell.pins]):
            try:
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                raise Skipped(f"its environment was not installed after {LIMIT_SECONDS} s") from None
            if done.returncode:
                # Versions that exclude each other are our mistake; all else is the network or the machine.
                reason = Failed if "No solution found" in done.stderr else Skipped
                raise reason(f"its environment cannot be installed: {' '.join(done.stderr.split())[-400:]}")
        made.write_text(digest)
    return str(inside)


VERSIONS = ("-m", "numeric or versions")
SIGNALS = ("tests/commands/test_commands.py", "-k", "ctrl_c or polite_end")
# What `nohup make test &` hands down to the tests in a shell without job control.
BACKGROUND = ("sh", "-c", 'trap "" INT; exec nohup "$@"', "sh")
# Root writes everywhere unless it gives up the capability that lets it.
MODES_COUNT = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CELLS = (
    Cell("aten-default", {"ATEN_CPU_CAPABILITY": "default"}, {"aten": "DEFAULT"}),
    Cell("aten-avx2", {"ATEN_CPU_CAPABILITY": "avx2"}, {"aten": "AVX2"}, flag="avx2"),
    Cell("aten-avx512", {"ATEN_CPU_CAPABILITY": "avx512"}, {"aten": "AVX512"}, flag="avx512f"),
    Cell("openblas-haswell", {"OPENBLAS_CORETYPE": "Haswell"}, {"openblas": ["Haswell"]}, flag="avx2"),
    Cell("openblas-skylakex", {"OPENBLAS_CORETYPE": "SkylakeX"}, {"openblas": ["SkylakeX"]}, flag="avx512f"),
    Cell("onednn-sse41", {"ONEDNN_MAX_CPU_ISA": "SSE41"}, {"onednn": "Intel SSE4.1, jit:sse41"}, flag="sse4_1"),
    Cell("onednn-avx2", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"onednn": "Intel AVX2, jit:avx2"}, flag="avx2"),
    *(Cell(f"threads-{n}", dict.fromkeys(THREADS, str(n)), {"threads": [n]}, cores=n) for n in (1, 2)),
    Cell("busy", load=True),
    Cell("nohup", shows={"ignored": ["SIGHUP", "SIGINT"]}, tests=SIGNALS, wrapper=BACKGROUND),
    Cell("path", shows={"writable": True}, place=copied),
    Cell("read-only", shows={"writable": False}, place=lambda: copied(read_only=True), wrapper=MODES_COUNT),
    Cell("python3.12", tests=VERSIONS, python="3.12", pins="constraints.txt"),
    Cell("python3.13", tests=VERSIONS, python="3.13", pins="constraints.txt"),
    Cell("oldest", tests=VERSIONS, python="3.11", pins="constraints-oldest.txt"),
)


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[list[subprocess.Popen[bytes]]]:
    """One busy process for each core while the body runs; they end by themselves after the limit of a cell."""
    program = f"import time\nend = time.time() + {LIMIT_SECONDS}\nwhile time.time() < end: pass"
    count = os.cpu_count() or 1 if wanted else 0
    children = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield children
    finally:
        for child in children:
            child.kill()
            child.wait()


def check_machine(cell: Cell) -> None:
    """Raise ``Skipped`` if this machine lacks what the cell needs."""
    flags = Path("/proc/cpuinfo")
    if cell.flag and (not flags.exists() or cell.flag not in flags.read_text().split()):
        raise Skipped(f"the processor has no {cell.flag}")
    if cell.cores > (os.cpu_count() or 1):
        raise Skipped(f"it needs {cell.cores} cores, and there are {os.cpu_count()}")
    if cell.wrapper and shutil.which(cell.wrapper[0]) is None:
        raise Skipped(f"{cell.wrapper[0]} is not on PATH")


def seen(cell: Cell, tree: Path, path: Path) -> str:
    """What the tests' process reported of the cell's setting; ``Failed`` if that is not the setting."""
    if not path.exists():
        raise Failed("the tests were not collected")
    facts = json.loads(path.read_text())
    expected = {"folder": str(tree), **cell.shows}
    wrong = {name: facts[name] for name, value in expected.items() if facts[name] != value}
    if wrong:
        raise Failed(f"it ran with {wrong}, not { ({name: expected[name] for name in wrong}) }")
    shown = [f"{name} {facts[name]}" for name in cell.shows]
    if not cell.pins:
        return ", ".join(shown)
    versions = {name.lower().replace("_", "-"): text.split("+")[0] for name, text in facts["versions"].items()}
    lines = (line.split("==") for line in (ROOT / cell.pins).read_text().splitlines() if "==" in line)
    pinned = {name.lower().replace("_", "-"): version for name, version in lines}
    other = {name: versions[name] for name in pinned if versions.get(name, pinned[name]) != pinned[name]}
    if other or not facts["python"].startswith(cell.python):
        raise Failed(f"Python {facts['python']} with {other}, which {cell.pins} does not have")
    return ", ".join([f"python {facts['python']}", *(f"{name} {versions[name]}" for name in ("numpy", "torch", "av"))])


def run(cell: Cell, select: str | None) -> tuple[str, float]:
    """What the cell's tests and its process reported, and the tests' processor seconds."""
    check_machine(cell)
    python = environment(cell) if cell.pins else sys.executable
    with cell.place() as tree, busy(cell.load) as load, tempfile.TemporaryDirectory() as folder:
        facts = Path(folder) / "facts.json"
        # Alone in a folder: on the path of every child the tests' wheel.py would hide the package wheel.
        shutil.copy(tree / "tests" / "matrix_facts.py", folder)
        path = os.pathsep.join([str(tree), folder])
        variables = {**os.environ, **cell.variables, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*cell.wrapper, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *cell.tests]
        command += ["-p", "matrix_facts", "--facts", str(facts), *(["-k", select] if select else [])]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        output, status = finish(command, tree, variables)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if status:
            print(output)
            raise Failed(summary(output) or f"exit status {status}")
        if "Exception ignored in" in output:
            print(output)
            raise Failed("an exception at exit, though the tests passed")
        shown = seen(cell, tree, facts)
        if any(child.poll() is not None for child in load):
            raise Failed("the load beside it ended early")
    beside = f"{len(load)} busy processes beside" if load else ""
    return "; ".join(filter(None, [summary(output), shown, beside])), spent


def summary(output: str) -> str:
    """pytest's line of counts, which what happens at exit may follow."""
    lines = [line.strip("= ") for line in output.splitlines() if re.search(r"\d+ (passed|failed|error)", line)]
    return lines[-1] if lines else ""


def finish(command: list[str], folder: Path, variables: dict[str, str]) -> tuple[str, int]:
    """The output and exit status of a command; it and all that it started are ended after the limit."""
    child = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = child.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {LIMIT_SECONDS} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return output, child.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", help="names of cells; all without any")
    parser.add_argument("--select", help="pytest's -k")
    chosen = parser.parse_args()
    unknown = set(chosen.cells) - {cell.name for cell in CELLS}
    if unknown:
        parser.error(f"no cell {sorted(unknown)}; there are {[cell.name for cell in CELLS]}")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for cell in (cell for cell in CELLS if not chosen.cells or cell.name in chosen.cells):
        began, spent = time.monotonic(), 0.0
        try:
            detail, spent = run(cell, chosen.select)
            state = "passed"
        except Skipped as reason:
            state, detail = "skipped", str(reason)
        except Failed as reason:
            state, detail = "failed", str(reason)
        wall = time.monotonic() - began
        print(f"{cell.name:18} {state:8} {spent:7.1f} s cpu {wall:7.1f} s wall  {detail}", flush=True)
        counts[state] += 1
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
