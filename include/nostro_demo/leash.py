"""Run one command and end everything it started as soon as the owner lets go.

The owner holds the write end of this program's standard input. When the owner writes to it, closes it, or dies in any
way (SIGKILL included), the read end reports so and the command is ended: SIGTERM, a bounded wait, SIGKILL.

A process group is not enough: Airflow puts each task into a group of its own. The session is: nothing in Airflow leaves
it. Runs as `python -I -S leash.py SECONDS COMMAND…`, so that it imports the standard library only and starts at once.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK_AGAIN = 0.05  # seconds between two looks at the processes


def all_pids() -> list[int]:
    proc = Path("/proc")
    if (proc / "self").exists():
        return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]
    listing = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True, timeout=10)
    return [int(word) for word in listing.stdout.split()]


def is_zombie(pid: int) -> bool:
    """A zombie has ended; only its parent can remove it, and that parent may be gone for a moment longer."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def in_session(session: int) -> list[int]:
    found = []
    for pid in all_pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid not in (session, os.getpid()) and os.getsid(pid) == session and not is_zombie(pid):
                found.append(pid)
    return found


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_session(session: int, patience: float) -> None:
    """End every process of the session but its leader and the caller; returns when none is left."""
    signal_all(in_session(session), signal.SIGTERM)
    deadline = time.monotonic() + patience
    while in_session(session) and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN)
    # A process may be forking while it is being killed: look again until none is left.
    deadline = time.monotonic() + 10
    while (left := in_session(session)) and time.monotonic() < deadline:
        signal_all(left, signal.SIGKILL)
        time.sleep(LOOK_AGAIN)


def let_go() -> bool:
    """Whether the owner has written to the pipe, closed it, or died."""
    readable, _, _ = select.select([sys.stdin], [], [], LOOK_AGAIN)
    return bool(readable)


def main(patience: float, command: list[str]) -> int:
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: told.append(received))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None and not told and not let_go():
        pass
    status = child.poll()
    # Only when this is the leader of a session of its own: anything else would end the owner's processes too.
    if os.getsid(0) == os.getpid():
        end_session(os.getpid(), patience)
    child.wait(timeout=10)
    return 0 if status is None else status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
