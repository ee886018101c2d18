"""A bank that sends exactly the bytes it was given, however broken, over a real socket, with TLS where one wants it."""

import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

CALL = "/a-call"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Answer:
    """The bytes for one request, and how the bank leaves: properly, by a reset, or not at all while it says nothing."""

    data: bytes
    ending: Literal["close", "reset", "hold"] = "close"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints of a failing example."""
        shown = self.data if len(self.data) < 4000 else self.data[:3000] + b" ... " + self.data[-500:]
        printer.text(f"Answer({shown!r}, {self.ending!r})  # {len(self.data)} bytes")


_REFUSED = Answer(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


class RawBank:
    """Answers requests, each on a connection of its own, one after another with what `play` was given."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[bytes] = []
        self._answers: list[Answer] = []
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def play(self, *answers: Answer) -> None:
        """From now on `answers`, in this order, the last again and again; but a 401 to requests of CALL."""
        self.received, self._answers = [], list(answers)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, which close() alone would not
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=[connection], daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        # The client may leave whenever it likes; TLS errors are OSErrors too.
        with suppress(OSError), connection, self._tls_of(connection) as line:
            request = _request(line)
            if not request:
                return
            answer = self._next(request)
            if answer.ending == "reset":
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            line.sendall(answer.data)
            if answer.ending == "hold":
                line.recv(1)

    def _tls_of(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    def _next(self, request: bytes) -> Answer:
        if request.split(b" ", 2)[1] == CALL.encode():
            return _REFUSED
        self.received.append(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def _request(line: socket.socket) -> bytes:
    """One request, read to its end; nothing if the client went away."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = line.recv(65_536)
        if not chunk:
            return b""
        received += chunk
    stated = _LENGTH.search(received)
    end = received.index(b"\r\n\r\n") + 4 + (int(stated[1]) if stated else 0)
    while len(received) < end and (chunk := line.recv(65_536)):
        received += chunk
    return received


@contextmanager
def raw_bank(tls: ssl.SSLContext | None = None) -> Iterator[RawBank]:
    bank = RawBank(tls)
    try:
        yield bank
    finally:
        bank.close()
