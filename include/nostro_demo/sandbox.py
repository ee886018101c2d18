"""The sandbox banks as a subprocess: `python -m nostro_sandbox`, its addresses and its control paths."""

import json
import os
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from nostro_demo.config import without_proxy
from nostro_demo.process import Process, ProcessFailed

Json = dict[str, Any]

STARTS_WITHIN = 60.0


class Sandbox:
    """A context manager. Flags as of the command: `Sandbox(log, seed=7, latency_ms=50, port_mbanq=8811)`."""

    def __init__(self, log: Path, **flags: object) -> None:
        self._log = log
        self._flags = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        self._process: Process | None = None
        self.description: Json = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def urls(self) -> dict[str, str]:
        """The origins by conn_type, and `banking_circle_authorization`."""
        return dict(self.description["urls"])

    @property
    def credentials(self) -> dict[str, Json]:
        """`login`, `password` and `extra` by conn_type."""
        return dict(self.description["credentials"])

    @property
    def pki(self) -> Json:
        return dict(self.description["pki"])

    def start(self) -> None:
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start without waiting, so that something else can start meanwhile; then `wait_ready`."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = (sys.executable, "-m", "nostro_sandbox", *self._flags)
        env = {**os.environ, **without_proxy(os.environ)}
        self._process = Process("sandbox", command, log=self._log, env=env, capture=True, patience=3)

    def wait_ready(self) -> None:
        if self._process is None:
            raise RuntimeError("the sandbox was not launched")
        self.description = json.loads(self._first_line(self._process))

    def check(self) -> None:
        """Raises ProcessFailed if it has ended."""
        if self._process:
            self._process.check()

    def stop(self) -> None:
        if self._process:
            self._process.stop()
            self._process = None

    def stats(self) -> dict[str, dict[str, int]]:
        """The counters by conn_type."""
        counters: dict[str, dict[str, int]] = self._control("GET", "/_stats")
        return counters

    def count(self, conn_type: str, name: str) -> int:
        """One counter of one bank."""
        return self.stats()[conn_type][name]

    def truth(self) -> dict[str, Json]:
        """The books by conn_type: `accounts`, `entries`, `payouts`."""
        books: dict[str, Json] = self._control("GET", "/_truth")
        return books

    def faults(self, wanted: Mapping[str, Mapping[str, Any]] | None = None, /, **by_bank: Mapping[str, Any]) -> Json:
        """Replace the faults of the banks named; none named: clear those of all."""
        set_now: Json = self._control("POST", "/_faults", json={**(wanted or {}), **by_bank})
        return set_now

    def reset(self) -> None:
        self._control("POST", "/_reset")

    def _control(self, method: str, path: str, **options: Any) -> Any:
        # Every port has the same control paths; Banking Circle's would want our certificate.
        origin = next(url for url in self.urls.values() if url.startswith("http://"))
        answer = httpx.request(method, origin + path, timeout=30, trust_env=False, **options)
        if answer.is_error:
            raise ProcessFailed(f"sandbox: {method} {path}: HTTP {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def _first_line(self, process: Process) -> bytes:
        """One line of JSON, printed once every port accepts connections."""
        deadline, line = time.monotonic() + STARTS_WITHIN, b""
        while not line.endswith(b"\n"):
            if time.monotonic() > deadline:
                raise ProcessFailed(f"sandbox: not ready within {STARTS_WITHIN:g} s; see {self._log}")
            if select.select([process.stdout], [], [], 0.1)[0]:
                chunk = os.read(process.stdout.fileno(), 65536)
                line += chunk
                if not chunk:
                    process.wait(timeout=10)
                    raise ProcessFailed(f"sandbox: ended before it was ready; see {self._log}")
        return line
