"""The studio answers nobody but its own page and programs that have its token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from studio_address import HOST, TOKEN

from pipeline.studio import guard

ADDRESSES = ["/", "/api/bank", "/api/clips", "/api/openapi.json", "/static/main.js", "/api/labels", "/nothing"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_is_shown_without_the_token(bank: Path, open_studio: Callable[..., TestClient], address: str) -> None:
    stranger = open_studio(bank, token=None)
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Cookie": "clipdex_studio=wrong"},
        {"Cookie": "clipdex_studio="},
    ):
        answer = stranger.get(address, headers=headers)
        assert (answer.status_code, list(answer.json())) == (401, ["error"])


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1:8000.evil.example", ""])
def test_a_name_that_was_bound_to_this_machine_elsewhere_is_refused(studio: TestClient, host: str) -> None:
    assert studio.get("/api/bank", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:9000"])
def test_requests_of_other_sites_are_refused_also_with_the_token(studio: TestClient, origin: str) -> None:
    for method in ("GET", "POST"):
        answer = studio.request(method, "/api/labels", headers={"Origin": origin}, json={"class_name": "walk"})
        assert answer.status_code == 403
    assert studio.get("/api/labels").json() == []


def test_the_address_becomes_a_cookie_that_neither_scripts_nor_other_sites_have(
    bank: Path, open_studio: Callable[..., TestClient]
) -> None:
    browser = open_studio(bank, token=None)
    assert browser.get("/?token=wrong").status_code == 401
    answer = browser.get(f"/?token={TOKEN}&view=map".replace(" ", "%20"), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?view=map")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    browser.cookies.clear()
    with_cookie = {"Cookie": cookie.split(";")[0]}
    page = browser.get("/", headers=with_cookie)
    assert page.status_code == 200
    assert TOKEN not in page.text
    # A cookie alone changes nothing: a browser says where a request comes from.
    change = {"class_name": "walk", "clips": []}
    assert browser.post("/api/labels", headers=with_cookie, json=change).status_code == 403
    own = {**with_cookie, "Origin": f"http://{HOST}"}
    assert browser.post("/api/labels", headers=own, json=change).status_code == 200


def test_every_answer_tells_browsers_to_be_strict(studio: TestClient, bank: Path) -> None:
    for address in ("/", "/api/bank", "/static/main.js", "/nothing"):
        headers = studio.get(address).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert not [name for name in headers if name.startswith("access-control")]
    preflight = studio.options(
        "/api/labels", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/api/videos/..%2f..%2fetc%2fpasswd",
        "/api/videos/%2fetc%2fpasswd",
        "/api/clips/..%2f..%2fformat.json",
        "/api/clips/..%2f..%2fformat.json/sprite.webp",
        "/api/exports/heads/..%2f..%2fformat.json.zip",
        "/api/exports/heads/%2e%2e.zip",
        "/api/heads/..%2f..%2fx",
    ],
)
def test_only_what_the_bank_holds_is_served(studio: TestClient, path: str) -> None:
    answer = studio.get(path)
    assert answer.status_code in (400, 404)
    assert b"root:" not in answer.content


def test_large_requests_are_refused_before_they_are_read(studio: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    monkeypatch.setattr(guard, "MOST_UPLOAD_BYTES", 5000)
    too_much = b"[" + b" " * 2000 + b"]"
    assert studio.post("/api/labels", content=too_much).status_code == 413
    declared = {"Content-Length": str(2 << 30)}
    assert studio.post("/api/uploads", content=b"x", headers=declared).status_code == 413
    assert studio.post("/api/labels", content=(too_much for _ in range(3))).status_code == 413  # of unknown length
    upload = {"file": ("a.mp4", b"0" * 6000, "video/mp4")}
    assert studio.post("/api/uploads", files=upload).status_code == 413
    assert studio.get("/api/labels").json() == []


def test_ranges_that_make_no_sense_cost_nothing(studio: TestClient) -> None:
    video = studio.get("/api/clips?count=1").json()["clips"][0]["video_id"]
    address = f"/api/videos/{video}"
    size = len(studio.get(address).content)
    part = studio.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, len(part.content)) == (206, 10)
    for text in (
        "bytes=-",
        "bytes=a-b",
        f"bytes={size}-",
        "bytes=9-1",
        "lines=0-1",
        "bytes=" + ",".join(["0-1"] * 5000),
    ):
        answer = studio.get(address, headers={"Range": text})
        assert answer.status_code in (200, 206, 400, 416), text
        assert len(answer.content) <= size + 1000, text


def test_names_of_strangers_are_text(videos: Path, tmp_path: Path, open_studio: Callable[..., TestClient]) -> None:
    bank = tmp_path / "<img src=x onerror=alert(1)>"
    page = open_studio(bank).get("/").text
    assert "<img" not in page
    assert "&lt;img" in page
