import os
import select
import signal
import threading
from contextlib import contextmanager

import pytest

from nostro.database.lease import process_lease, thread_lease

BOUND = 10  # seconds that a test waits at most for another process or thread


@pytest.fixture(params=["threads", "processes"])
def lease(request, tmp_path):
    """Both kinds of lease, as a function of key and waiting time."""
    if request.param == "threads":
        return lambda key, wait: thread_lease(f"{tmp_path}/{key}", wait)
    return lambda key, wait: process_lease(tmp_path / "leases", key, wait)


def test_one_wins_and_the_next_wins_after(lease):
    """A lease is had by one at a time, and falls when its block ends."""
    with lease("k", 0) as first, lease("k", 0) as second:
        assert (first, second) == (True, False)
    with lease("k", 0) as third:
        assert third


def test_a_lease_falls_with_an_error(lease):
    """A login that raises leaves no lease behind."""
    with pytest.raises(RuntimeError), lease("k", 0):
        raise RuntimeError
    with lease("k", 0) as won:
        assert won


def test_two_keys_are_two_leases(lease):
    """One connection's login does not hold up another's."""
    with lease("k", 0) as first, lease("l", 0) as second:
        assert (first, second) == (True, True)


def test_of_many_threads_one_wins(lease):
    """Of many threads at once one wins, the others are told so."""
    won, begin, end = [], threading.Barrier(8), threading.Barrier(8)

    def work() -> None:
        begin.wait(BOUND)
        with lease("k", 0) as mine:
            won.append(mine)
            end.wait(BOUND)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert sorted(won) == [False] * 7 + [True]


def test_who_waits_gets_the_lease_when_it_falls(lease):
    """Who may wait has the lease as soon as its holder is done."""
    held, won = threading.Event(), []

    def wait() -> None:
        held.wait(BOUND)
        with lease("k", BOUND) as mine:
            won.append(mine)

    thread = threading.Thread(target=wait)
    thread.start()
    with lease("k", 0):
        held.set()
    thread.join(BOUND)
    assert won == [True]


def test_waiting_is_bounded(lease):
    """Who waits for a lease that does not fall is told in the end."""
    outcome = []
    with lease("k", 0):
        thread = threading.Thread(target=lambda: outcome.append(_outcome(lease, 0.02)))
        thread.start()
        thread.join(BOUND)
    assert outcome == [False]


def _outcome(lease, wait: float) -> bool:
    with lease("k", wait) as won:
        return won


@contextmanager
def child(work):
    """A forked process that runs `work(say)`; gives its pid and what it says, as text that is waited for."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            work(lambda text: os.write(write, text.encode()))
        finally:
            os._exit(0)
    os.close(write)

    def heard() -> str:
        return os.read(read, 100).decode() if select.select([read], [], [], BOUND)[0] else "(nothing)"

    try:
        yield pid, heard
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read)


def tries(directory, wait: float = 0):
    """Say whether the lease was had."""

    def work(say) -> None:
        with process_lease(directory, "k", wait) as won:
            say(str(won))

    return work


def test_a_forked_child_does_not_inherit_the_lease(tmp_path):
    """A child forked while its parent logs in has no lease, and its try does not cost the parent the lease."""
    with process_lease(tmp_path, "k", 0) as won:
        assert won
        for _ in range(2):
            with child(tries(tmp_path)) as (_, heard):
                assert heard() == "False"


def test_a_forked_child_does_not_keep_the_lease(tmp_path):
    """A child that outlives its parent's login does not hold the lease that the parent let go."""
    with process_lease(tmp_path, "k", 0), child(lambda say: signal.pause()):
        pass
    with process_lease(tmp_path, "k", 0) as won:
        assert won


def test_a_lease_let_go_beside_a_living_child_is_free(tmp_path):
    """While a child forked during the login still lives, others may have the lease once the parent let it go."""
    holder = process_lease(tmp_path, "k", 0)
    holder.__enter__()
    with child(lambda say: signal.pause()):
        holder.__exit__(None, None, None)
        with child(tries(tmp_path)) as (_, heard):
            assert heard() == "True"


def test_a_child_forked_amid_a_login_can_wait_for_its_end(tmp_path):
    """The threads' lock is not copied into a child as held: there nobody would ever release it."""
    holder = process_lease(tmp_path, "k", 0)
    holder.__enter__()
    with child(tries(tmp_path, BOUND)) as (_, heard):
        holder.__exit__(None, None, None)
        assert heard() == "True"


def test_a_killed_worker_leaves_no_lease(tmp_path):
    """The kernel drops the lease with the process, however it ends."""

    def work(say) -> None:
        with process_lease(tmp_path, "k", 0) as won:
            say(str(won))
            signal.pause()

    with child(work) as (pid, heard):
        assert heard() == "True"
        with process_lease(tmp_path, "k", 0) as won:
            assert not won
        os.kill(pid, signal.SIGKILL)
        with process_lease(tmp_path, "k", BOUND) as won:
            assert won


def test_lease_files_are_their_owners(tmp_path):
    """Nobody else can open a lease's file, and so hold up logins."""
    with process_lease(tmp_path / "leases", "k", 0):
        (file,) = (tmp_path / "leases").iterdir()
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
