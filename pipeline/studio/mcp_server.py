"""The bank for assistants that speak the Model Context Protocol: search, show, predict, info.

No clip, label or head is changed; pictures that were shown are stored in the bank's folder ``previews``.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..bank.bank import BankLike, open_bank
from ..core.errors import ClipdexError, MissingExtra, UsageError
from ..core.types import Device
from ..maintenance.info import bank_info
from ..report.sprites import sprite
from ..retrieval.search_options import SearchOptions
from .predictions import PredictionsOf
from .workspace import Unknown, Workspace

if TYPE_CHECKING:
    from mcp.server import MCPServer

_INSTRUCTIONS = (
    "A bank of video clips, described by vectors of a frozen encoder. Times are seconds in a clip's video. Search with "
    "`search`, look at clips with `show` (eight frames side by side), list what a trained classifier sees with "
    "`predict`, and ask `info` what the bank holds."
)

# An assistant reads all that it gets.
_MOST_ROWS = 500


def serve_mcp(*, bank: BankLike = "bank", recipe: str | None = None, device: Device = "auto") -> None:
    """Answer an assistant over standard input and output, until it ends.

    Args:
        recipe: id, encoder or checkpoint, if the bank holds several.

    Raises:
        MissingExtra: the package of the extra ``mcp`` is not installed.
        BankError: there is no bank.
    """
    if importlib.util.find_spec("mcp") is None:
        raise MissingExtra("mcp", extra="mcp", purpose="the MCP server")
    mcp_server(Workspace(open_bank(bank), recipe=recipe, device=device)).run()


def mcp_server(workspace: Workspace) -> MCPServer:
    """The server for an open bank."""
    from mcp.server import MCPServer

    tools = _Tools(workspace)
    server = MCPServer("clipdex", instructions=_INSTRUCTIONS)
    for tool in (tools.search, tools.show, tools.predict, tools.info):
        server.tool()(_with_errors(tool))
    return server


def _with_errors(tool: Callable[..., Any]) -> Callable[..., Any]:
    """A tool whose own errors the assistant reads: of others it learns only that there was one."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(tool)
    def _answered(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except ClipdexError as error:
            raise ToolError(str(error)) from error

    return _answered


def _check_number(name: str, number: int) -> None:
    if not 1 <= number <= _MOST_ROWS:
        raise UsageError(f"{name} must be 1 to {_MOST_ROWS}, not {number}")


class _Tools:
    """What an assistant can call; its docstrings are what the assistant reads."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._predictions = PredictionsOf(workspace)

    def search(
        self, text: str = "", like_clip_id: str = "", where: str = "", number_of_hits: int = 10
    ) -> list[dict[str, Any]]:
        """Find moments of the videos by a description, or similar to a clip, best first.

        Args:
            text: what is to be seen, such as "a person opening a door".
            like_clip_id: a clip to find similar ones of.
            where: a condition on times, labels or metadata, such as "start_seconds<60 and label=walk".
            number_of_hits: at most, 1 to 500.
        """
        _check_number("number_of_hits", number_of_hits)
        options = SearchOptions(
            texts=[text] if text.strip() else (),
            clips=[like_clip_id] if like_clip_id else (),
            where=[where] if where.strip() else (),
            k=number_of_hits,
        )
        return self._workspace.searcher.search(options=options).to_rows()

    def show(self, clip_id: str) -> Any:
        """Look at a clip: eight frames of it side by side, in order of time.

        Args:
            clip_id: as `search` and `predict` give it.
        """
        from mcp.server.mcpserver import Image

        row = self._workspace.clip(clip_id)
        path = self._workspace.file(row.video_id)
        data = sprite(path, row.video_id, row.span, cache=self._workspace.previews)
        if data is None:
            raise Unknown(f"no picture can be made of {clip_id}: the video cannot be read any more")
        return Image(data=data, format="webp")

    def predict(self, head: str = "default", class_name: str = "", number_of_clips: int = 20) -> list[dict[str, Any]]:
        """The clips of which a trained classifier is surest, with the class that it predicts (null if it abstains).

        Args:
            head: name of the classifier; `info` lists them.
            class_name: only by the score of this class; empty for each clip's best class.
            number_of_clips: at most, 1 to 500.
        """
        _check_number("number_of_clips", number_of_clips)
        found = self._predictions.of(head)
        numbers, scores = found.ranked(class_name or None, "best")
        rows = list(found.clips.rows(numbers[:number_of_clips].tolist()))
        return [
            {
                "clip_id": row.clip_id,
                "video": row.video,
                "start_seconds": row.start_seconds,
                "stop_seconds": row.stop_seconds,
                "label": found.label(row.clip_id),
                "score": float(score),
            }
            for row, score in zip(rows, scores, strict=False)
        ]

    def info(self) -> dict[str, Any]:
        """What the bank holds: encoders, videos, clips, labels and trained classifiers."""
        row = bank_info(bank=self._workspace.bank).to_row()
        return {**row, "clips": 0 if self._workspace.is_empty else len(self._workspace.opened.clips)}
