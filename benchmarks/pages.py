"""Tables in pages of documentation that a script writes anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PERFORMANCE, SCALE = DOCS / "performance.md", DOCS / "scale.md"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def put(page: Path, section: str, content: str, *, script: str) -> None:
    """Replace what stands between the section's marks in a page."""
    start, end = f"<!-- {section}: written by benchmarks/{script}.py -->", f"<!-- end of {section} -->"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    if not rest or not after:
        raise SystemExit(f"{page} has no section {section!r} between {start} and {end}")
    page.write_text(f"{before}{start}\n{content}\n{end}{after}", encoding="utf-8")
