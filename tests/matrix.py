"""Run the numeric tests on other processors' code paths, thread counts, places and package versions.

``make test-matrix`` runs every cell, ``make test-matrix CELLS="openblas-haswell threads-1"`` these; ``--select`` is
pytest's ``-k``. Plain child processes: a cell is a variable or a folder, not only a virtual environment as in nox.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".matrix"
LIMIT_SECONDS = 600
KERNELS = "import numpy, threadpoolctl as t; print([i.get('architecture') for i in t.threadpool_info()])"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One way to run the tests: variables, the marked or named tests, where, by which Python, beside what."""

    name: str
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    tests: tuple[str, ...] = ("-m", "numeric")
    place: Callable[[], contextlib.AbstractContextManager[Path]] = lambda: contextlib.nullcontext(ROOT)
    python: Callable[[], str] = lambda: sys.executable
    wrapper: tuple[str, ...] = ()
    load: bool = False
    flag: str = ""  # of the processor, which it needs
    kernel: str = ""  # of OpenBLAS, which must be in use


class Skipped(Exception):
    """This machine cannot run the cell; the message is the reason."""


@contextlib.contextmanager
def copied(*, read_only: bool = False) -> Iterator[Path]:
    """A copy of the tree in a folder with spaces and letters outside ASCII."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "Ein Ördner 動画"
        names = shutil.ignore_patterns(".git", ".venv", ".matrix", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, tree, ignore=names)
        # Root may write everywhere: for it only the modes are tested.
        modes = "a-w" if read_only else "u+w"
        subprocess.run(["chmod", "-R", modes, str(tree)], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(tree)], check=True)


def environment(name: str, python: str, *packages: str) -> str:
    """The Python of a cached environment with the packages, made by uv where it is missing."""
    found, uv = shutil.which(python), shutil.which("uv")
    if found is None or uv is None:
        raise Skipped(f"{python if found is None else 'uv'} is not on PATH")
    folder = CACHE / name
    inside = folder / "bin" / "python"
    if not (folder / "complete").exists():
        for command in (
            [uv, "venv", "-q", "--clear", "--python", found, str(folder)],
            [uv, "pip", "install", "-q", "--python", str(inside), *packages],
        ):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                raise Skipped(f"{name} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        (folder / "complete").touch()
    return str(inside)


def newest() -> str:
    """An environment of Python 3.13. On Linux uv takes torch with CUDA, some gigabytes."""
    return environment("python3.13", "python3.13", "-r", "pyproject.toml", "--extra", "dev", "-c", "constraints.txt")


def oldest() -> str:
    """An environment of the oldest releases that pyproject.toml allows."""
    return environment("oldest", "python3.11", "-r", "constraints-oldest.txt")


SIGNALS = ("tests/test_commands.py", "-k", "ctrl_c or polite_end")
CELLS = (
    Cell("aten-default", {"ATEN_CPU_CAPABILITY": "default"}),
    Cell("aten-avx2", {"ATEN_CPU_CAPABILITY": "avx2"}, flag="avx2"),
    Cell("aten-avx512", {"ATEN_CPU_CAPABILITY": "avx512"}, flag="avx512f"),
    Cell("openblas-haswell", {"OPENBLAS_CORETYPE": "Haswell"}, flag="avx2", kernel="Haswell"),
    Cell("openblas-skylakex", {"OPENBLAS_CORETYPE": "SkylakeX"}, flag="avx512f", kernel="SkylakeX"),
    Cell("onednn-avx2", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, flag="avx2"),
    *(
        Cell(f"threads-{n}", dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), n))
        for n in ("1", "2")
    ),
    Cell("busy", load=True),
    Cell("nohup", tests=SIGNALS, wrapper=("nohup",)),
    Cell("path", place=copied),
    Cell("read-only", place=lambda: copied(read_only=True)),
    Cell("python3.13", python=newest),
    Cell("oldest", python=oldest),
)


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """One busy process for each core while the body runs; they end by themselves after the limit of a cell."""
    program = f"import time\nend = time.time() + {LIMIT_SECONDS}\nwhile time.time() < end: pass"
    count = os.cpu_count() or 1 if wanted else 0
    children = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def run(cell: Cell, select: str | None) -> tuple[str, str]:
    """Whether the cell passed, failed or was skipped, and what it said of it."""
    flags = Path("/proc/cpuinfo")
    if cell.flag and (not flags.exists() or cell.flag not in flags.read_text().split()):
        raise Skipped(f"the processor has no {cell.flag}")
    python = cell.python()
    with cell.place() as tree, busy(cell.load):
        variables = {**os.environ, **cell.variables, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        shown = subprocess.run([python, "-c", KERNELS], env=variables, capture_output=True, text=True).stdout.strip()
        if cell.kernel and cell.kernel not in shown:
            return "failed", f"OpenBLAS runs {shown}, not {cell.kernel}"
        command = [*cell.wrapper, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *cell.tests]
        command += ["-k", select] if select else []
        child = subprocess.Popen(
            command, cwd=tree, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = child.communicate(timeout=LIMIT_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.returncode:
        print(output)
    last = output.strip().splitlines()[-1] if output.strip() else "no output"
    return ("failed" if child.returncode else "passed"), f"{last} {shown if cell.kernel else ''}"


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
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            state, detail = run(cell, chosen.select)
        except Skipped as reason:
            state, detail = "skipped", str(reason)
        except subprocess.TimeoutExpired:
            state, detail = "failed", f"not done after {LIMIT_SECONDS} s"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        wall = time.monotonic() - began
        print(f"{cell.name:18} {state:8} {cpu:7.1f} s cpu {wall:7.1f} s wall  {detail}", flush=True)
        counts[state] += 1
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
