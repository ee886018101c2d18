"""A subprocess on a leash: its output in a file, nothing of it left running once the owner stops or dies."""

import contextlib
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from nostro_demo import leash


class ProcessFailed(RuntimeError):
    """A subprocess ended, or did not get ready in time; the message holds the tail of its log."""


def tail(path: Path, lines: int = 25) -> str:
    with contextlib.suppress(OSError), path.open(encoding="utf-8", errors="replace") as text:
        return "".join(deque(text, maxlen=lines)).rstrip()
    return ""


class Process:
    """Starts at once. `stop` is safe to call twice and returns when the whole session is gone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
        patience: float = 5.0,
        capture: bool = False,
    ) -> None:
        """`patience`: seconds between SIGTERM and SIGKILL. `capture`: standard output goes to `.stdout` instead."""
        self.name, self.log, self._patience = name, log, patience
        with log.open("ab") as sink:
            self._leash = subprocess.Popen(
                [sys.executable, "-I", "-S", leash.__file__, str(patience), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if capture else sink,
                stderr=sink,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def stdout(self) -> IO[bytes]:
        if self._leash.stdout is None:
            raise ValueError(f"{self.name} was not started with capture=True")
        return self._leash.stdout

    @property
    def exit_status(self) -> int | None:
        return self._leash.poll()

    def pids(self) -> list[int]:
        """Every process of this component except the leash itself."""
        return leash.in_session(self._leash.pid)

    def check(self) -> None:
        if self.exit_status is not None:
            ended = f"{self.name} ended with status {self.exit_status}"
            raise ProcessFailed(f"{ended}; the end of {self.log}:\n{tail(self.log)}")

    def wait(self, timeout: float) -> None:
        """For a command that is meant to end: raises unless it ends well and in time."""
        try:
            status = self._leash.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ProcessFailed(f"{self.name} took more than {timeout:g} s; see {self.log}") from None
        self._close_pipes()
        if status:
            self.check()

    def let_go(self) -> None:
        """Ask for the end without waiting for it, so that several processes can end at the same time."""
        if self._leash.stdin:
            with contextlib.suppress(OSError):
                self._leash.stdin.close()

    def kill(self) -> None:
        """End it as a crash would, with no warning."""
        leash.signal_all(self.pids(), signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        self.let_go()
        try:
            self._leash.wait(self._patience + 15)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            self._leash.wait(10)
        # Normally nothing is left; this is for the case that somebody killed the leash itself.
        leash.end_session(self._leash.pid, 0)
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._leash.stdin, self._leash.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def stop_all(processes: Sequence[Process]) -> None:
    for process in processes:
        process.let_go()
    for process in processes:
        process.stop()


def wait_until(
    what: str, ready: Callable[[], bool], timeout: float, every: float = 0.1, watch: Sequence[Process] = ()
) -> None:
    """Poll until `ready()` is true; a watched process that ends meanwhile ends the wait with its log."""
    deadline = time.monotonic() + timeout
    while not ready():
        for process in watch:
            process.check()
        if time.monotonic() > deadline:
            tails = "".join(f"\n--- the end of {p.log}:\n{tail(p.log, 10)}" for p in watch)
            raise ProcessFailed(f"{what}: not within {timeout:g} s{tails}")
        time.sleep(every)
