"""A studio over a small bank of real vectors, asked as its page and other programs ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra studio is not installed")

from fastapi.testclient import TestClient
from studio_address import HOST, TOKEN
from studio_pages import actions, browser, drawn_bank, open_page, serve  # noqa: F401 -- fixtures

from pipeline import Bank, extract
from pipeline.studio.app import create_app
from pipeline.studio.workspace import Workspace


@pytest.fixture
def bank(videos: Path, tmp_path: Path) -> Path:
    """Three videos, each cut in windows of half a second."""
    folder = tmp_path / "bank"
    extract([videos], bank=folder, encoder="lite", num_frames=1, window_seconds=0.5)
    return folder


@pytest.fixture
def open_studio() -> Iterator[Callable[..., TestClient]]:
    """Opens studios; ``token`` None is somebody without one."""
    opened: list[TestClient] = []

    def start(bank: Path, *, token: str | None = TOKEN) -> TestClient:
        app = create_app(Workspace(Bank(bank, create=True)), token=TOKEN, hosts=[HOST])
        client = TestClient(app, base_url=f"http://{HOST}")
        if token is not None:
            client.headers["Authorization"] = f"Bearer {token}"
        client.__enter__()
        opened.append(client)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def studio(bank: Path, open_studio: Callable[..., TestClient]) -> TestClient:
    """A program with the token."""
    return open_studio(bank)
