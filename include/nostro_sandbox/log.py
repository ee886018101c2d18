"""Which requests a bank has got, and when: no bodies, no headers, no query."""

import time
from collections import deque

from nostro_sandbox.wire import JsonObject

_LENGTH = 10_000


class RequestLog:
    def __init__(self) -> None:
        self._entries: deque[JsonObject] = deque(maxlen=_LENGTH)

    def arrived(self, method: str, path: str) -> JsonObject:
        """A new entry, at the true time. It gets its status with the answer, and none if that is lost."""
        entry: JsonObject = {"at": time.time(), "method": method, "path": path, "status": None}
        self._entries.append(entry)
        return entry

    def entries(self) -> list[JsonObject]:
        """Oldest first."""
        return list(self._entries)

    def clear(self) -> None:
        self._entries.clear()
