"""Workers: real processes, forked as Airflow forks its tasks', and what became of each."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, Self

import httpx
from airflow.sdk import BaseHook

from nostro import listener, registry

fork = multiprocessing.get_context("fork")
BOUND = 60.0

# One cheap request of each bank that only reads; {login} and {entity} are the connection's.
_READS = {
    "banking_circle": ("GET", "/api/v1/accounts", None),
    "kunacore": ("POST", "/v2/customer/find", {"take": 1, "skip": 0}),
    "m2p": ("POST", "/prepaid/customer/v1/wallets/balance", {"entityId": "{entity}"}),
    "mangopay": ("GET", "/v2.01/{login}/users", None),
    "mbanq": ("GET", "/v1/clients", None),
}


def banks_and_stores(*also_on_postgresql: str) -> list[tuple[str, str]]:
    """Every bank on SQLite, these on PostgreSQL too: for promises in which bank and store have nothing in common."""
    return [(bank, "sqlite") for bank in registry.BANKS] + [(bank, "postgresql") for bank in also_on_postgresql]


@dataclass(frozen=True)
class Killed:
    """A worker that ended without a word."""

    by: int


class Worker:
    """A forked process that does `work`, and tells what came of it by a pipe of its own.

    Of its own, as who is killed while it holds the lock of a shared queue silences all others. It is not waited for
    before the test's end: until then its number is nobody else's.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._ear, mouth = fork.Pipe(duplex=False)
        self.pid = os.fork()
        if self.pid == 0:
            _be_worker(mouth, work)
        mouth.close()
        _started.append(self)

    def outcome(self, after: float = 0.0) -> Any:
        """What `work` returned, the exception that it raised, or Killed; then the process has ended.

        `after` is how many seconds the work takes by itself.
        """
        bound = after + (BOUND / 2 if _in_worker else BOUND)  # a worker can still tell which of its own is stuck
        # Not the pipe's end alone: a child that outlives it holds the pipe open.
        wait_until(lambda: self._ear.poll() or self._end(), f"a word of process {self.pid}, or its end", bound)
        told = None
        if self._ear.poll():
            with suppress(EOFError):
                told = pickle.loads(self._ear.recv_bytes())
        wait_until(self._end, f"the end of process {self.pid}")
        return Killed(self._end().si_status) if self._end().si_code == os.CLD_KILLED else told

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        wait_until(self._end, f"the end of process {self.pid}")

    def clear_away(self) -> None:
        """The process, and all that it has left behind."""
        for kill in (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._ear.close()

    def _end(self) -> os.waitid_result | None:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)


_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_started: list[Worker] = []
_in_worker = False


def clear_all_away() -> None:
    while _started:
        _started.pop().clear_away()


def _be_worker(mouth: Any, work: Callable[[], Any]) -> NoReturn:
    """As Airflow's task runner: `work`, then our listener, then the end, whatever other threads do."""
    global _in_worker  # noqa: PLW0603 (it is the process's own)
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody calls a bank for ever after pytest was killed
        _started.clear()
        if not _in_worker:
            os.setpgid(0, 0)  # a group of its own, to be ended as one
            _in_worker = True
        told = attempt(work)
        try:
            word = pickle.dumps(told)
            pickle.loads(word)
        except Exception as error:  # noqa: BLE001 (the test has to see it)
            word = pickle.dumps(RuntimeError(f"{told!r} cannot be told: {error!r}"))
        mouth.send_bytes(word)
        listener.before_stopping(None)
    finally:
        os._exit(0)


def attempt(work: Callable[[], Any]) -> Any:
    """What `work` returned, or the exception that it raised."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 (the test has to see it)
        return error


def outcome_of(work: Callable[[], Any]) -> Any:
    """What came of `work` in a process of its own."""
    return Worker(work).outcome()


def at_once(processes: int, work: Callable[[], Any], threads: int = 1) -> list[Any]:
    """What came of `work` in each thread of each process, all begun at the same moment."""
    barrier = fork.Barrier(processes * threads)

    def begin(_: int) -> Any:
        barrier.wait(BOUND)
        return attempt(work)

    def in_process() -> list[Any]:
        if threads == 1:
            return [begin(0)]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(begin, range(threads)))

    workers = [Worker(in_process) for _ in range(processes)]
    told = [worker.outcome() for worker in workers]
    return [each for outcome in told for each in (outcome if isinstance(outcome, list) else [outcome])]


def read(hook: Any, client: Any) -> None:
    """One cheap call, which has to succeed."""
    method, path, body = _READS[hook.conn_type]
    if body and "entityId" in body:
        body = {"entityId": hook.fields.extra["entity_ids"][0]}
    response = client.request(method, path.format(login=hook.fields.login), json=body)
    assert response.is_success, f"{method} {path}: status {response.status_code}"


def token_and_read(conn_id: str) -> str:
    """As a task does it: a hook by its connection's id, its token, one call. Gives the token's value."""
    hook = BaseHook.get_hook(conn_id)
    with hook.get_conn() as client:
        value: str = hook.get_token().value
        read(hook, client)
    return value


def token(conn_id: str) -> str:
    value: str = BaseHook.get_hook(conn_id).get_token().value
    return value


@dataclass
class Calls:
    """What one worker saw that called all the time; `slowest` is in seconds."""

    made: int = 0
    slowest: float = 0.0
    failed: list[Exception] = field(default_factory=list)


def call_until(done: Callable[[], bool], hook: Any, pause: float, made: Callable[[int], None]) -> Calls:
    """Ask for the token and call, again and again over one client, until `done()`."""
    calls = Calls()
    with hook.get_conn() as client:
        while not done():
            began = time.monotonic()
            try:
                hook.get_token()
                read(hook, client)
            except Exception as error:  # noqa: BLE001 (counted)
                calls.failed.append(error)
            calls.made += 1
            calls.slowest = max(calls.slowest, time.monotonic() - began)
            made(calls.made)
            time.sleep(pause)
    return calls


class Callers:
    """Processes that call all the time, so many for each connection, until the `with` ends; then `seen` is filled."""

    def __init__(self, processes: int, *conn_ids: str, pause: float = 0.1) -> None:
        self._pause = pause
        self._conn_ids = [conn_id for conn_id in conn_ids for _ in range(processes)]
        # Plain memory, without a lock: nobody can die with it.
        self._stop, self._made = fork.RawValue("b", 0), fork.RawArray("i", len(self._conn_ids))
        self.seen: list[Calls] = []

    def __enter__(self) -> Self:
        self._workers = [Worker(partial(self._work, place)) for place in range(len(self._conn_ids))]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.value = 1
        for worker in self._workers:
            told = worker.outcome()
            assert isinstance(told, Calls), told
            self.seen.append(told)
        made = sum(calls.made for calls in self.seen)
        print(f"{len(self.seen)} callers, {made} calls, the slowest {self.slowest:.2f} s")

    def _work(self, place: int) -> Calls:
        hook = BaseHook.get_hook(self._conn_ids[place])
        return call_until(lambda: bool(self._stop.value), hook, self._pause, partial(self._made.__setitem__, place))

    def all_call(self, times: int = 1) -> None:
        """Return when each of them has made so many calls more."""
        wanted = [made + times for made in self._made]
        wait_until(lambda: all(map(int.__ge__, self._made, wanted)), f"{times} calls more of each caller")

    @property
    def failures(self) -> list[Exception]:
        return [error for calls in self.seen for error in calls.failed]

    @property
    def slowest(self) -> float:
        return max(calls.slowest for calls in self.seen)


def wait_until(condition: Callable[[], bool], what: str, within: float = BOUND) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def let_pass(seconds: float) -> None:
    """For what is measured over a time."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "the end of the time", within=2 * seconds + 1)


def token_requests_at(sandbox: Any, bank: str) -> list[float]:
    """When each token request came in at the bank, by the machine's clock."""
    log = httpx.get(f"{sandbox.urls['m2p']}/_log", params={"conn_type": bank}, trust_env=False).json()
    return [entry["at"] for entry in log if "auth" in entry["path"]]
