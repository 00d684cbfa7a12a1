"""Build the wheel, install it without its dependencies into an environment of its own, and use the command.

Run by ``make test``: what is only in the working tree, or not in the package data, fails here.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("clipdex-*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
        assert tops == {"pipeline"}, tops
        assert {"pipeline/py.typed", "pipeline/report/page.html"} <= set(names)
        environment = Path(folder) / "venv"
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
    print("the built wheel installs and runs")


if __name__ == "__main__":
    main()
