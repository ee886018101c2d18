"""The lease on a login falls with its holder, however it ends, and holds up nobody else's bank."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from workers import BOUND, Worker, attempt, fork, outcome_of, token, token_and_read, wait_until

# Fork to token, on a busy machine; the bank's answer and the wait for a lease would take many times as long.
SOON = 5.0
SLOW = {"delay_token": 20}


def nothing_left_behind() -> None:
    """The holder has no children."""


def forked_child() -> int:
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    return child


def other_program() -> int:
    """One that is told to keep all descriptors that may be inherited."""
    command = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
    return subprocess.Popen(command, close_fds=False).pid


@pytest.mark.parametrize("outlived_by", [nothing_left_behind, forked_child, other_program])
def test_a_lease_falls_when_its_holder_is_killed(outlived_by, store, set_connection, sandbox):
    """In the middle of a login, also if a child of the holder's lives on: the next worker has its token at once."""
    conn_id = set_connection("m2p")
    sandbox.faults({"m2p": SLOW})
    ear, mouth = fork.Pipe(duplex=False)

    def hold() -> None:
        threading.Thread(target=lambda: attempt(lambda: token(conn_id))).start()
        wait_until(lambda: sandbox.count("m2p", "token_requests") == 1, "the holder asks for a token")
        mouth.send(outlived_by())
        signal.pause()

    holder = Worker(hold)
    assert ear.poll(BOUND)
    child = ear.recv()
    sandbox.faults({"m2p": {}})
    holder.kill()
    began = time.monotonic()
    assert isinstance(outcome_of(lambda: token_and_read(conn_id)), str)
    assert time.monotonic() - began < SOON
    assert sandbox.count("m2p", "token_requests") == 2
    if child:
        os.kill(child, 0)  # it is still there


def test_one_banks_slow_login_holds_up_no_other_process(store, set_connection, sandbox):
    """Leases are per token: SQLite's single writer never waits for a bank."""
    slow, quick = set_connection("m2p"), set_connection("mangopay")
    sandbox.faults({"m2p": SLOW})
    waiting = Worker(lambda: token(slow))
    wait_until(lambda: sandbox.count("m2p", "token_requests") == 1, "the slow login is under way")
    began = time.monotonic()
    assert isinstance(outcome_of(lambda: token_and_read(quick)), str)
    assert time.monotonic() - began < SOON
    waiting.kill()


def test_one_banks_slow_login_holds_up_no_other_thread(store, set_connection, sandbox):
    slow, others = set_connection("m2p"), [set_connection(bank) for bank in ("mangopay", "kunacore", "mbanq")]
    sandbox.faults({"m2p": SLOW})

    def work() -> float:
        threading.Thread(target=lambda: attempt(lambda: token(slow)), daemon=True).start()
        wait_until(lambda: sandbox.count("m2p", "token_requests") == 1, "the slow login is under way")
        began = time.monotonic()
        for conn_id in others:
            token_and_read(conn_id)
        return time.monotonic() - began

    assert outcome_of(work) < SOON
