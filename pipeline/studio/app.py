"""The web application: the page, its parts, and the API behind it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from .._version import __version__
from ..core.addresses import absolute
from ..core.errors import ClipdexError
from .api import bank, clips, exports, heads, labels, points, suggestions
from .guard import Guard
from .state import Studio
from .workspace import Unknown, Workspace

_HERE = Path(__file__).parent
_ROUTERS = (bank.router, clips.router, labels.router, heads.router, points.router, suggestions.router, exports.router)


@dataclasses.dataclass(frozen=True)
class Error:
    """What every request that fails is answered with: a sentence."""

    error: str


_FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "refused, and why"},
    401: {"model": Error, "description": "the token is missing"},
    403: {"model": Error, "description": "a request of another site"},
    404: {"model": Error, "description": "there is no such clip, video, upload, selection or job"},
    413: {"model": Error, "description": "the request is too large"},
    421: {"model": Error, "description": "another host name than the studio's"},
    422: {"model": Error, "description": "values that cannot be, and which"},
}


def create_app(workspace: Workspace, *, token: str, hosts: Collection[str], cookie: str = "clipdex_studio") -> FastAPI:
    """The application for an open bank.

    Args:
        token, hosts, cookie: see ``Guard``.
    """
    studio = Studio.of(workspace)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        studio.close()

    # The pages for the API's documentation load scripts from elsewhere: it is JSON alone.
    app = FastAPI(
        title="Clipdex studio",
        version=__version__,
        description="Search, label and train on a bank of clips. Send the token as `Authorization: Bearer TOKEN`.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.studio = studio
    for router in _ROUTERS:
        app.include_router(router, prefix="/api", responses=_FAILURES)
    _describe_security(app, cookie)
    app.add_api_route("/", _page, response_class=HTMLResponse, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.add_exception_handler(ClipdexError, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(HTTPException, _failed)
    app.add_middleware(Guard, token=token, hosts=hosts, cookie=cookie, upload_path="/api/uploads")
    return app


def _describe_security(app: FastAPI, cookie: str) -> None:
    """Say in the API's description how a request shows the token: ``Guard`` looks at it before any route."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        schema = describe()  # remembered, so that this is done to one document
        schema["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": cookie},
        }
        schema["security"] = [{"token": []}, {"cookie": []}]
        return schema

    app.openapi = described  # type: ignore[method-assign]


def _page(request: Request) -> HTMLResponse:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    folder = request.app.state.studio.workspace.bank.folder
    return HTMLResponse(environment.get_template("studio.html").render(bank=absolute(folder).name))


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """A verb refused: its own sentence."""
    return JSONResponse({"error": str(error)}, 404 if isinstance(error, Unknown) else 400)


async def _failed(_: Request, error: Exception) -> JSONResponse:
    """What the web framework refuses: unknown addresses and methods, bodies that are too large."""
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, str(error))
    return JSONResponse({"error": detail}, status)


async def _misunderstood(_: Request, error: Exception) -> JSONResponse:
    """A request with values that cannot be: which, and why."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    sentences = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in problems]
    return JSONResponse({"error": "; ".join(sentences)}, 422)
