"""Serves all banks from one process and one event loop."""

import asyncio
import contextlib
import json
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nostro_sandbox.bank import Bank, Setup
from nostro_sandbox.control import Control

HOST = "127.0.0.1"


class _Protocol(HttpToolsProtocol):
    """Tells the application which certificate the peer showed, and how to cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = _with_connection(self.app, transport)


def _with_connection(app: ASGIApp, transport: asyncio.Transport) -> ASGIApp:
    extensions: dict[str, Any] = {"nostro_sandbox.abort": transport.abort}
    tls = transport.get_extra_info("ssl_object")
    if tls is not None:
        certificate = ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))
        extensions["tls"] = {"client_cert_chain": [certificate]}

    async def connected(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), **extensions}
        await app(scope, receive, send)

    return connected


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals end all servers together, see `serve`.
        yield


def _server(app: ASGIApp, bank: Bank) -> _Server:
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    config.load()
    if bank.mutual_tls:
        config.ssl = bank.setup.pki.server_context()
    return _Server(config)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


async def serve(banks: Sequence[type[Bank]], setup: Setup, ports: Mapping[str, int]) -> None:
    """Serve until SIGTERM or SIGINT; print the line once every port accepts connections."""
    sockets = {name: _listen(ports.get(name, 0)) for bank in banks for name in bank.listeners()}
    open_banks = {bank.conn_type: bank(setup) for bank in banks}
    control = Control(open_banks).routes()
    servers = {
        name: _server(bank.app(name, control), bank) for bank in open_banks.values() for name in bank.listeners()
    }
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, list(servers.values()))
    running = [asyncio.create_task(server.serve([sockets[name]])) for name, server in servers.items()]
    # uvicorn says it has started by a flag, not by an event.
    while not all(  # noqa: ASYNC110
        server.started or task.done() for server, task in zip(servers.values(), running, strict=True)
    ):
        await asyncio.sleep(0.005)
    print(json.dumps(_first_line(open_banks, sockets)), flush=True)
    await asyncio.gather(*running)


def _end(servers: Sequence[uvicorn.Server]) -> None:
    for server in servers:
        server.should_exit = True


def _first_line(banks: Mapping[str, Bank], sockets: Mapping[str, socket.socket]) -> dict[str, Any]:
    urls = {}
    for bank in banks.values():
        for name in bank.listeners():
            urls[name] = f"{'https' if bank.mutual_tls else 'http'}://{HOST}:{sockets[name].getsockname()[1]}"
    return {
        "urls": urls,
        "credentials": {name: bank.connection(urls) for name, bank in banks.items()},
        "pki": next(iter(banks.values())).setup.pki.printed(),
    }
