"""``python -m pipeline`` is ``clipdex``."""

from .commands import main

main(prog_name="clipdex")
