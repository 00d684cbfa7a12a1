"""Start the studio on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import webbrowser
from collections.abc import Callable

from ..bank.bank import BankLike, open_bank
from ..core.errors import MissingExtra, UsageError
from ..core.types import Device

_LOOPBACK = "127.0.0.1"


def serve(
    *,
    bank: BankLike = "bank",
    recipe: str | None = None,
    device: Device = "auto",
    port: int = 0,
    open_browser: bool = False,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the studio for a bank, which is made if there is none, until Ctrl-C.

    Args:
        recipe: id, encoder or checkpoint, if the bank holds several.
        port: 0 takes a free one.
        open_browser: whether to open the page in the default browser.
        on_ready: called with the address, which carries the token, before the first request is answered.

    Raises:
        MissingExtra: the packages of the extra ``studio`` are not installed.
        UsageError: the port is taken.
    """
    for package in ("fastapi", "uvicorn", "python_multipart"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, extra="studio", purpose="the studio")
    import uvicorn

    from .app import create_app
    from .guard import new_token
    from .workspace import Workspace

    store = open_bank(bank, create=True)
    listener = _listening(port)
    port = listener.getsockname()[1]
    token = new_token()
    hosts = [f"{name}:{port}" for name in (_LOOPBACK, "localhost")]
    app = create_app(
        Workspace(store, recipe=recipe, device=device), token=token, hosts=hosts, cookie=f"clipdex_studio_{port}"
    )
    address = f"http://{_LOOPBACK}:{port}/?token={token}"
    on_ready(address)
    if open_browser:
        webbrowser.open(address)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    with listener, contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended
        uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_LOOPBACK, port))
        listener.listen()  # who opens the address at once waits, and is not refused
    except OSError as error:
        listener.close()
        raise UsageError(f"port {port} cannot be used: {error.strerror or error}; choose another one") from error
    return listener
