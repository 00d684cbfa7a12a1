"""The page at the end of the demo: what was found, and what the head says of clips that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path

from ._demo_steps import NUM_HITS, QUERY


def write_demo_page(out: Path, bank: Path) -> Path:
    """Write ``index.html`` beside the pages that the demo's commands have written, from what is stored."""
    from ..classification.predict import predict
    from ..report.overview import Card, Section, write_overview
    from ..retrieval.searcher import search

    real = [hit for hit in search(QUERY, bank=bank, k=50) if Path(hit.video).parent.name == "videos"]
    hits = [Card.of_hit(hit) for hit in real[:NUM_HITS]]
    unseen = [Card.of_prediction(one) for one in predict([out / "actions" / "unseen"], bank=bank)]
    figures = json.loads((out / "report" / "metrics.json").read_text(encoding="utf-8"))
    facts = {
        "top-1 accuracy on unseen performers": f"{figures['top1']:.2f}",
        "by chance": f"{figures['chance']:.2f}",
        "clips": str(figures["clips"]),
        "actions": str(figures["classes"]),
    }
    page = out / "index.html"
    write_overview(
        page,
        [
            Section(f"Search: {QUERY}", "hits.html", "The page of the hits", hits),
            Section(
                "Predictions for performers that the head has not seen",
                "report/report.html",
                "The report of the evaluation",
                unseen,
                facts,
            ),
        ],
        title="Clipdex demo",
    )
    return page
