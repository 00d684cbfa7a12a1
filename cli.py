"""The command from a checkout: ``python cli.py ...`` is ``clipdex ...``.

python cli.py extract videos/             frames through a frozen encoder, once, into ./bank
python cli.py search "a dog jumping"      moments by text, by clip, by picture
python cli.py label import labels.csv     which class each clip shows
python cli.py train-head --loss triplet   a light head on the stored vectors
python cli.py add-class NAME MOMENT...    one more class, from a few clips
python cli.py predict more-videos/        the head's class for each clip
"""

import shlex
import sys
from pathlib import Path


def run() -> None:
    """Run the command; if this Python lacks a package that Clipdex needs, say how to install them and exit with 1."""
    try:
        from pipeline.commands import main

        main()
    except ModuleNotFoundError as error:
        if "--debug" in sys.argv or (error.name or "pipeline").partition(".")[0] == "pipeline":
            raise  # a module of Clipdex itself: no installation would help
        install = shlex.join(
            [sys.executable, "-m", "pip", "install", "--editable", str(Path(__file__).parent.resolve())]
        )
        sys.exit(f"Error: this Python has no package {error.name!r}; install what Clipdex needs with: {install}")


if __name__ == "__main__":
    run()
