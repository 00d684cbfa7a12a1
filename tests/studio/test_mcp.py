"""An assistant finds, sees and predicts by the Model Context Protocol."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from mcp import Client, StdioServerParameters, stdio_client

from pipeline import Bank, Searcher, train_head
from pipeline.bank.labels import Labels
from pipeline.core.types import LabelRow
from pipeline.studio.mcp_server import mcp_server
from pipeline.studio.workspace import Workspace


def called(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """The results of these calls of tools, in one session."""

    async def session() -> list[Any]:
        async with Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(session())


def rows(result: Any) -> list[dict[str, Any]]:
    assert not result.is_error, result
    return result.structured_content["result"]


def test_a_search_gives_the_hits_of_search_and_show_their_frames(bank: Path) -> None:
    server = mcp_server(Workspace(Bank(bank)))
    (found,) = called(server, ("search", {"text": "a bar code", "number_of_hits": 2}))
    hits = Searcher(bank).search("a bar code", k=2)
    assert [row["clip_id"] for row in rows(found)] == [hit.clip_id for hit in hits]
    one = hits[0].clip_id
    similar, picture, unknown = called(
        server, ("search", {"like_clip_id": one}), ("show", {"clip_id": one}), ("show", {"clip_id": "../../etc/passwd"})
    )
    assert one not in [row["clip_id"] for row in rows(similar)]
    assert (picture.content[0].type, picture.content[0].mime_type) == ("image", "image/webp")
    assert unknown.is_error
    assert "no clip of this bank" in unknown.content[0].text


@pytest.mark.parametrize("number", [-1, 0, 501])
def test_numbers_of_rows_have_bounds(bank: Path, number: int) -> None:
    server = mcp_server(Workspace(Bank(bank)))
    hits, clips = called(
        server,
        ("search", {"text": "a bar code", "number_of_hits": number}),
        ("predict", {"number_of_clips": number}),
    )
    assert f"number_of_hits must be 1 to 500, not {number}" in hits.content[0].text
    assert f"number_of_clips must be 1 to 500, not {number}" in clips.content[0].text


def test_predictions_and_info(bank: Path) -> None:
    table = Bank(bank).clips(Bank(bank).recipe().id)
    for row in table.rows():
        label = LabelRow(row.video_id, row.video, Path(row.video).parent.name, row.start_seconds, row.stop_seconds)
        Labels(bank).add([label])
    train_head(bank=bank)
    server = mcp_server(Workspace(Bank(bank)))
    found, facts, missing = called(
        server, ("predict", {"class_name": "red", "number_of_clips": 3}), ("info", {}), ("predict", {"head": "none"})
    )
    scores = [row["score"] for row in rows(found)]
    assert (len(scores), scores) == (3, sorted(scores, reverse=True))
    assert facts.structured_content["clips"] == len(table)
    assert missing.is_error


def test_the_command_speaks_the_protocol_alone_on_its_output(bank: Path) -> None:
    cli = Path(__file__).parents[2] / "cli.py"
    parameters = StdioServerParameters(command=sys.executable, args=[str(cli), "mcp", "--bank", str(bank)])

    async def session() -> Any:
        async with Client(stdio_client(parameters)) as client:
            tools = await client.list_tools()
            return [tool.name for tool in tools.tools], await client.call_tool("search", {"text": "a bar code"})

    names, found = asyncio.run(session())
    assert names == ["search", "show", "predict", "info"]
    assert rows(found)
    assert json.dumps(rows(found))
