"""Leases: one worker at a time logs in for a key, in all threads and processes of this machine."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.005


class _Threads:
    """One lock per key for the threads of this process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        # After a fork: a thread of the parent may have held a lock, and in the child nobody would ever release it.
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def lock(self, key: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())


_threads = _Threads()
os.register_at_fork(after_in_child=_threads.forget)


@contextmanager
def thread_lease(key: str, wait_seconds: float) -> Iterator[bool]:
    """Yield whether the lease on `key` was had, within this process, after `wait_seconds` at most."""
    lock = _threads.lock(key)
    won = lock.acquire(timeout=wait_seconds) if wait_seconds > 0 else lock.acquire(blocking=False)
    try:
        yield won
    finally:
        if won:
            lock.release()


@contextmanager
def process_lease(
    directory: Path, key: str, wait_seconds: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[bool]:
    """Yield whether the lease on `key` was had, on this machine, after `wait_seconds` at most.

    The kernel holds the lock for the process and drops it when the process ends, however it ends: a killed worker
    leaves no stale lease, and no time-out can end one in the middle of a login. POSIX record locks, unlike flock, are
    not inherited by a forked child, which would otherwise keep them after the parent's death. They belong to the
    process, not the thread, so the thread lease comes first; it also keeps one file open at a time, since closing any
    descriptor of the file would drop the lock.
    """
    deadline = time.monotonic() + wait_seconds
    with thread_lease(f"{directory}/{key}", wait_seconds) as won_here:
        if not won_here:
            yield False
            return
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(directory / f"{key[:32]}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _lock(file, deadline, sleep)
        finally:
            os.close(file)


def _lock(file: int, deadline: float, sleep: Callable[[float], None]) -> bool:
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= deadline:
                return False
            sleep(_POLL_SECONDS)
        else:
            return True
