"""The API answers whatever its own schema allows, and refuses the rest, without a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from studio_address import HOST, TOKEN

from pipeline import Bank, extract
from pipeline.studio.app import create_app
from pipeline.studio.workspace import Workspace

_HEADERS = {"Host": HOST, "Authorization": f"Bearer {TOKEN}"}
_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_whatever_the_schema_allows_has_an_answer(tmp_path: Path, videos: Path) -> None:
    bank = tmp_path / "bank"
    extract([videos], bank=bank, encoder="lite", num_frames=1)
    app = create_app(Workspace(Bank(bank)), token=TOKEN, hosts=[HOST])
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=_HEADERS)
    tried = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        tried.add(f"{operation.method.upper()} {operation.path}")

        @settings(
            max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy())
        def answered(case: Any) -> None:
            if case.operation.path == "/api/extractions":  # what is drawn might be files of this machine
                case.body = {"source": "/nowhere"}
            case.call_and_validate(checks=_CHECKS, headers=_HEADERS)

        answered()
    app.state.studio.close()
    assert {"GET /api/clips", "POST /api/labels", "GET /api/exports/hits.{suffix}"} <= tried


def test_the_description_says_how_to_show_the_token_and_what_errors_are(tmp_path: Path) -> None:
    app = create_app(Workspace(Bank(tmp_path, create=True)), token=TOKEN, hosts=[HOST], cookie="a_cookie")
    with TestClient(app, base_url=f"http://{HOST}", headers=_HEADERS) as client:
        schema = client.get("/api/openapi.json").json()
    assert schema["security"] == [{"token": []}, {"cookie": []}]
    assert schema["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
    assert schema["components"]["securitySchemes"]["cookie"]["name"] == "a_cookie"
    for path in schema["paths"].values():
        for operation in path.values():
            for status in ("400", "401", "403", "404", "413", "421", "422"):
                content = operation["responses"][status]["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Error"}
