"""Banks of a few lines, for answers that the sandbox does not give: real servers on real sockets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], Any]


class Received:
    """A request as the bank got it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method, (self.path, _, self.query) = handler.command, handler.path.partition("?")
        self.headers = handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("content-length") or 0))


@contextmanager
def bank(reply: Callable[[Received], Reply]) -> Iterator[str]:
    """Serve `reply` on a free loopback port; gives the origin."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            status, headers, body = reply(Received(self))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                **headers,
                "Content-Length": str(len(data)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 (http.server's names)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
