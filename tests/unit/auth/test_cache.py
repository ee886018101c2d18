"""What all token sources of a process share: its memory, and the work it does beside its callers."""

import os
import threading
from contextlib import suppress

import pytest

from nostro.auth.cache import TokenCache, finish_renewals, in_thread
from nostro.auth.source import TokenSource
from nostro.database import open_database
from nostro.database.memory import MemoryDatabase
from nostro.errors import SecondFactorDue

BOUND = 10  # seconds that a test waits at most for a thread or a child


@pytest.fixture
def source(opened, seal, clock, mint):
    cache = TokenCache(opened(), seal, now=clock, beside=lambda work, name: work())
    return TokenSource(cache, ("i-1",), "anna", mint.grant, "c1", "B")


def in_child(work) -> str:
    """What `work` says in a forked process."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            os.write(write, str(work()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read) as said:
        return said.read()


def test_a_forked_child_looks_for_itself(source, clock, mint):
    """What its parent had in memory may be old by then: the child has the database's token, without one its own."""
    source.get()
    source.cache.memory["i-1"] = mint.token_of("the parent's own")
    shared = not isinstance(source.cache.database, MemoryDatabase)
    assert in_child(lambda: source.get().value) == ("tok-1" if shared else "tok-2")
    assert source.get().value == "the parent's own"


def test_a_child_forked_amid_a_renewal_renews_by_itself(source, clock):
    """The thread that renews is the parent's: the child does not wait for it to end."""
    source.get()
    clock.forward(3400)
    source.cache.renewing.add("i-1")
    assert in_child(lambda: (source.get(), source.get().value)[1]) == "tok-2"
    assert in_child(lambda: source.cache.renewing) == "set()"
    assert source.cache.renewing == {"i-1"}


def test_a_childs_token_is_found_by_its_parent(source, clock):
    """A child that logs in saves for all; its own connections end with it, and its parent's go on."""
    assert in_child(lambda: source.get().value) == "tok-1"
    assert source.get().value == "tok-1"
    assert source.cache.failures.last(["i-1"]) is None


def test_work_beside_the_caller_is_not_waited_for_but_finished():
    """The caller goes on at once; a process about to end waits for the work, by its name, and not for ever."""
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait(BOUND)
        done.set()

    in_thread(work, "c1")
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "nostro renews c1"]
    assert not thread.daemon
    finish_renewals(0.01)
    assert not done.is_set()
    go.set()
    finish_renewals(BOUND)
    assert done.is_set()
    assert not thread.is_alive()


def test_other_threads_are_not_waited_for():
    """What is not ours may take its time."""
    end = threading.Event()
    other = threading.Thread(target=end.wait, args=(BOUND,), name="somebody else's")
    other.start()
    finish_renewals(BOUND)
    assert other.is_alive()
    end.set()
    other.join(BOUND)


def test_a_cache_has_its_own_defaults(seal):
    """Without Airflow a code that is due is the plain error, and renewals run in threads."""
    cache = TokenCache(open_database("none"), seal)
    assert (cache.due, cache.beside) == (SecondFactorDue, in_thread)
    assert cache.now().tzinfo is not None
