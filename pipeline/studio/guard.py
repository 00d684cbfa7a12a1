"""Who may talk to the studio: only the browser, or program, that has its token, on this machine.

A web page of somebody else can make a browser send requests to localhost. Four checks stand against that: the Host
header (DNS rebinding), the Origin header (cross-site requests), a random token (everybody else on this machine), and no
CORS header is ever sent (reading answers).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Everything else is refused unless it carries its own, smaller limit.
MOST_BYTES = 4 << 20
MOST_UPLOAD_BYTES = 512 << 20

_SAFE = ("GET", "HEAD")
_CONTENT_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def new_token() -> str:
    """A token that cannot be guessed: 256 bits."""
    return secrets.token_urlsafe(32)


class Guard:
    """Lets requests through to ``app`` that come from the studio's own page, or carry its token.

    A page is opened with ``/?token=...``, which becomes a cookie that scripts cannot read and other sites cannot send.
    Programs send ``Authorization: Bearer TOKEN``.

    Args:
        hosts: values of the Host header that are meant, such as ``127.0.0.1:8080``.
        cookie: its name; cookies do not tell ports apart, so each studio has its own.
        upload_path: the only path whose requests may be as large as ``MOST_UPLOAD_BYTES``.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str], cookie: str, upload_path: str) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset(hosts)
        self._cookie = cookie
        self._upload_path = upload_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        headers, sent = Headers(scope=scope), _WithHeaders(send)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, sent)
            return
        most = MOST_UPLOAD_BYTES if scope["path"] == self._upload_path else MOST_BYTES
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > most:
            await JSONResponse({"error": _too_large(most)}, 413)(scope, receive, sent)
        else:
            await self._app(scope, _limited(receive, most), sent)

    def _refusal(self, scope: Scope, headers: Headers) -> Any:
        """The answer to a request that is not let through; None for others."""
        if headers.get("host") not in self._hosts:
            return JSONResponse({"error": "this host name is not the studio's"}, 421)
        own = f"http://{headers['host']}"
        origin = headers.get("origin")
        if origin is not None and origin != own:
            return JSONResponse({"error": "requests of other sites are refused"}, 403)
        bearer = self._is_token(headers.get("authorization", "").removeprefix("Bearer "))
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["method"] in _SAFE and scope["path"] == "/" and given:
            return self._welcome(scope, given[0])
        if not bearer and not self._is_token(cookie_parser(headers.get("cookie", "")).get(self._cookie, "")):
            return JSONResponse({"error": "open the address that clipdex studio printed: it carries a token"}, 401)
        # A browser says where a request that changes something comes from; only programs with the token need not.
        if not bearer and scope["method"] not in _SAFE and origin is None:
            return JSONResponse({"error": "a request that changes something needs its Origin header"}, 403)
        return None

    def _welcome(self, scope: Scope, token: str) -> Any:
        """Put the token of the address into a cookie, and take it out of the address."""
        if not self._is_token(token):
            return JSONResponse({"error": "this token is not the studio's: open the address it printed"}, 401)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        del query["token"]
        answer = RedirectResponse(f"/?{urlencode(query, doseq=True)}" if query else "/", 303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return answer

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())


class _WithHeaders:
    """Sends answers with the headers that tell browsers to be strict."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _limited(receive: Receive, most: int) -> Receive:
    """Counts what arrives: a body in chunks does not say how long it is."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, _too_large(most))  # the application makes an answer of it
        return message

    return counted


def _too_large(most: int) -> str:
    return f"a request here may have at most {most:,} bytes"
