"""Write down what the process that runs the tests runs on: a plugin of pytest that ``tests/matrix.py`` loads.

A variable that a library does not read would make a cell pass without having tested anything.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Large enough that torch leaves it to oneDNN.
CONVOLUTION = """
import torch
with torch.inference_mode():
    torch.nn.Conv2d(16, 16, 3)(torch.zeros(4, 16, 64, 64))
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--facts", type=Path, required=True, help="the JSON file to write")


def pytest_collection_finish(session: pytest.Session) -> None:
    """After the tests' own imports, with the variables that conftest.py sets."""
    session.config.getoption("--facts").write_text(json.dumps(facts()))


def facts() -> dict[str, object]:
    """What the settings of all cells should show in."""
    import faiss  # noqa: F401 -- brings an OpenBLAS of its own
    import scipy.linalg  # noqa: F401 -- so does SciPy
    import threadpoolctl
    import torch

    import pipeline

    tree = Path(pipeline.__file__).parent.parent
    pools = threadpoolctl.threadpool_info()
    return {
        "aten": torch.backends.cpu.get_cpu_capability(),
        "openblas": sorted({pool["architecture"] for pool in pools if pool["internal_api"] == "openblas"}),
        "threads": sorted({torch.get_num_threads(), *(pool["num_threads"] for pool in pools)}),
        "onednn": onednn() if "ONEDNN_MAX_CPU_ISA" in os.environ else None,
        "ignored": [name for name in ("SIGHUP", "SIGINT") if signal.getsignal(signal.Signals[name]) == signal.SIG_IGN],
        "folder": str(tree),
        "writable": writable(tree),
        "python": platform.python_version(),
        "versions": {one.metadata["Name"]: one.version for one in importlib.metadata.distributions()},
    }


def onednn() -> str:
    """The instruction set that oneDNN reports of itself, in a child with the same variables: only its log has it."""
    variables = {**os.environ, "ONEDNN_VERBOSE": "1"}
    command = [sys.executable, "-c", CONVOLUTION]
    log = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    named, used = re.search(r"cpu,isa:(.*)", log), re.search(r"exec,cpu,convolution,([^,]*)", log)
    return f"{named[1]}, {used[1]}" if named and used else "unknown"


def writable(tree: Path) -> bool:
    """Whether a file can be made there; modes do not tell it of root."""
    path = tree / "written"
    try:
        path.touch()
    except OSError:
        return False
    path.unlink()
    return True
