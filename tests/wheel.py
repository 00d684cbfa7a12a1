"""Build the source distribution and from it the wheel; check what they hold; install and use the wheel.

Run by ``make test``: what is only in the working tree, in no distribution, or not in the package data, fails here. The
wheel goes into an environment of its own, whose dependencies are those of the environment that runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent

# The last release of decord, of 2021, names itself for another Linux than pip knows. It works, and pyproject.toml asks
# for it only on x86-64. This complaint of pip is the only one that is allowed.
KNOWN = "decord 0.6.0 is not supported on this platform"

# What the tests read, each from a folder or file of its own.
IN_SOURCE = (
    "CHANGELOG.md",
    "Makefile",
    "README.md",
    "cli.py",
    "constraints.txt",
    "constraints-oldest.txt",
    "docs/heads.md",
    "notebooks/story.ipynb",
    "tests/conftest.py",
    "tests/oracles.py",
)


def check_dependencies() -> None:
    """The packages of this environment fit each other, but for the one known complaint."""
    check = [sys.executable, "-m", "pip", "check"]
    done = subprocess.run(check, capture_output=True, text=True)
    complaints = set((done.stdout + done.stderr).splitlines()) - {KNOWN, "No broken requirements found."}
    assert not complaints, f"pip check: {sorted(complaints)}"


def check_editable() -> None:
    """An editable install is a path that type checkers follow, not a hook that only Python knows."""
    site = Path(sysconfig.get_path("purelib"))
    direct = next(site.glob("clipdex-*.dist-info/direct_url.json"), None)
    if direct is None or not json.loads(direct.read_text()).get("dir_info", {}).get("editable"):
        return
    lines = [line for path in site.glob("__editable__*clipdex*.pth") for line in path.read_text().splitlines()]
    assert lines, "an editable install without a path file"
    hooks = [line for line in lines if not Path(line).is_dir()]
    assert not hooks, hooks


def check_source(archive: Path, folder: Path) -> None:
    """The source distribution runs tests by itself: one of the command and one of a shared fixture."""
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    missing = [name for name in IN_SOURCE if not (source / name).is_file()]
    assert not missing, f"{archive.name} lacks {missing}"
    tests = ["tests/classification/test_segments.py", "tests/commands/test_commands.py", "-k", "segment or cli_py"]
    # Of its own folder, not of this tree: PYTHONPATH comes before an editable install.
    environment = {**os.environ, "PYTHONPATH": str(source)}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    subprocess.run(run, check=True, cwd=source, env=environment, stdout=subprocess.DEVNULL)


def check_wheel(wheel: Path, folder: Path) -> None:
    """The wheel holds the package with its data and nothing else; its command runs in an environment of its own."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"pipeline"}, tops
    assert {"pipeline/py.typed", "pipeline/heads/__init__.pyi", "pipeline/report/page.html"} <= set(names)
    environment = folder / "venv"
    # The dependencies are those of this environment: installing torch again would take minutes.
    venv.create(environment, with_pip=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(sysconfig.get_path("purelib"))
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel]
    subprocess.run(install, check=True)
    for arguments in (["--version"], ["encoders", "--json"], ["extract", "--help"]):
        run = [environment / "bin" / "clipdex", *arguments]
        subprocess.run(run, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    where = [python, "-c", "import pipeline; print(pipeline.__file__)"]
    found = subprocess.run(where, check=True, cwd=folder, capture_output=True, text=True).stdout
    assert found.startswith(str(site)), found


def main() -> None:
    check_dependencies()
    check_editable()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Without --wheel or --sdist the wheel is built from the source distribution, as an installer would do.
        build = [sys.executable, "-m", "build", "--outdir", name, str(ROOT)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        (archive,), (wheel,) = folder.glob("clipdex-*.tar.gz"), folder.glob("clipdex-*.whl")
        source = folder / "source"
        source.mkdir()
        check_source(archive, source)
        check_wheel(wheel, folder)
    print("the source distribution runs its tests; the wheel built from it installs and runs")


if __name__ == "__main__":
    main()
