"""A bank that answers every request alike, with a token, and as quickly as Python can: only clients shall show."""

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contestants import Bank
from timing import fork

# As long as MANGOPAY's are.
_BODY = json.dumps({"access_token": "t" * 40, "token_type": "bearer", "expires_in": 3600}).encode()
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)


class _Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):
            self._answer()

    def _answer(self) -> None:
        while received := self.request.recv(65536):
            if received.endswith(b"\r\n\r\n") or b"client_credentials" in received:  # a head alone, or a whole form
                self.request.sendall(_HEAD + _BODY)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def quick_bank(folder: Path) -> Iterator[Bank]:
    """The bank, in a process of its own for as long as the block lasts."""
    with _Server(("127.0.0.1", 0), _Answer) as server:
        process = fork.Process(target=server.serve_forever, daemon=True)
        process.start()
        host, port = server.server_address
        try:
            yield Bank(f"http://{host}:{port}", "nostrobench", "api-key", folder)
        finally:
            process.terminate()
            process.join()
