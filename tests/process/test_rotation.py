"""Refresh tokens that are for one use, raced for by many workers of whom some are killed at the worst moments."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from airflow.sdk import BaseHook
from workers import Calls, Killed, Worker, call_until, wait_until

from nostro import wire

RACERS = 20
# CI's; `make soak` takes more, and kills six in each quarter of a minute.
SECONDS = float(os.environ.get("NOSTRO_SOAK_SECONDS", "12"))
ROUNDS = max(1, round(SECONDS / 15))

WAITING = "while it waits for the lease"
NOT_TAKEN = "before the refresh token is taken out of the store"
NOT_SENT = "after that, before the request is sent"
NOT_ANSWERED = "after the request was sent, before the answer"
NOT_SAVED = "after the answer, before the save"
NOT_RELEASED = "after the save, before the lease is released"
POINTS = (WAITING, NOT_TAKEN, NOT_SENT, NOT_ANSWERED, NOT_SAVED, NOT_RELEASED)
# The refresh token is gone, or its successor is: the next worker has to log in. Nowhere else.
COSTS_A_LOGIN = (NOT_SENT, NOT_ANSWERED, NOT_SAVED)

FAULTS = {
    "kunacore": {"token_lifetime": 2, "delay_token": 0.1},
    "mbanq": {"token_lifetime": 1, "delay_token": 0.1, "rotate_refresh": True, "second_factor": False},
}


class Fuses:
    """Who first comes to a point once its time has come is killed there: one racer for each point, in their order."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self._directory = directory
        self._began = time.monotonic()
        self._from = {point: seconds * place / (len(POINTS) + 1) for place, point in enumerate(POINTS, 1)}

    def live(self, point: str) -> bool:
        return time.monotonic() - self._began >= self._from[point] and point not in self.burnt()

    def reached(self, point: str) -> None:
        if self.live(point) and self._claimed(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def burnt(self) -> set[str]:
        return set(os.listdir(self._directory))

    def _claimed(self, point: str) -> bool:
        """By a file, as who is killed can leave nothing else behind."""
        try:
            (self._directory / point).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def arm_lease_and_store(source, fuses: Fuses) -> None:
    store, database = source.cache.store, source.cache.database
    save, lease = store.save, database.lease
    held, saved = [], []

    @contextmanager
    def fused_lease(key, wait_seconds):
        # Another thread of this process may hold the lease, at any of the other points: that would be two in one.
        waiting = threading.Timer(0.02, lambda: held or fuses.reached(WAITING))
        waiting.daemon = True
        if wait_seconds:
            waiting.start()
        with lease(key, wait_seconds) as won:
            waiting.cancel()
            if not won:
                yield False
                return
            held.append(key)
            saved.clear()
            try:
                yield True
                if saved:
                    fuses.reached(NOT_RELEASED)
            finally:
                held.remove(key)

    def fused_save(identities, token, *, replaces):
        if token.refresh_token is None:
            fuses.reached(NOT_TAKEN)
        kept = save(identities, token, replaces=replaces)
        if token.refresh_token is not None:
            saved.append(kept)
        return kept

    store.save, database.lease = fused_save, fused_lease


def arm_refresh(source, fuses: Fuses, refreshes: Callable[[], int]) -> None:
    """`refreshes` asks the bank how many it has got."""
    refresh, exchange = source.grant.refresh, wire.exchange

    def fused_refresh(token):
        fuses.reached(NOT_SENT)
        wire.exchange = fused_exchange
        try:
            renewed = refresh(token)
        finally:
            wire.exchange = exchange
        fuses.reached(NOT_SAVED)
        return renewed

    def fused_exchange(client, *args, **request):
        if fuses.live(NOT_ANSWERED):
            asked = refreshes()
            client.send = partial(fused_send, client.send, asked)
        return exchange(client, *args, **request)

    def fused_send(send, asked, request, **how):
        inner = request.extensions.get("trace")

        def trace(event, info):
            if inner:
                inner(event, info)
            if event.endswith("send_request_body.complete"):
                wait_until(lambda: refreshes() > asked, "the request's arrival at the bank")
                fuses.reached(NOT_ANSWERED)

        request.extensions = {**request.extensions, "trace": trace}
        return send(request, **how)

    source.grant = replace(source.grant, refresh=fused_refresh)


def race(conn_id: str, fuses: Fuses, sandbox, seconds: float) -> Calls:
    end = time.monotonic() + seconds
    hook = BaseHook.get_hook(conn_id)
    # Only this process's: each of them has its own memory.
    arm_lease_and_store(hook.access.source, fuses)
    arm_refresh(hook.access.source, fuses, lambda: sandbox.count(hook.conn_type, "refreshes"))
    return call_until(lambda: time.monotonic() > end, hook, 0.1, lambda made: None)


@pytest.mark.xdist_group("fleet")
@pytest.mark.timeout(SECONDS + 240)
@pytest.mark.parametrize(("bank", "store"), [("kunacore", "sqlite"), ("mbanq", "postgresql")], indirect=["store"])
def test_racers_on_rotating_refresh_tokens_survive_kills_at_every_point(bank, store, set_connection, sandbox, tmp_path):
    """Twenty racers, tokens of a second or two, one racer killed at each of six points.

    No refresh token is ever shown twice; a kill costs a login if it came between taking the refresh token out of the
    store and saving the new one, and nothing otherwise; and the survivors see no error at all.
    """
    conn_id = set_connection(bank)
    sandbox.faults({bank: FAULTS[bank]})
    seconds, told = SECONDS / ROUNDS, []
    for number in range(ROUNDS):
        directory = tmp_path / f"round {number}"
        directory.mkdir()
        fuses = Fuses(directory, seconds)
        racers = [Worker(partial(race, conn_id, fuses, sandbox, seconds)) for _ in range(RACERS)]
        told += [racer.outcome(after=seconds) for racer in racers]
        assert fuses.burnt() == set(POINTS)
    killed = [outcome for outcome in told if isinstance(outcome, Killed)]
    survivors = [outcome for outcome in told if not isinstance(outcome, Killed)]
    stats = sandbox.stats()[bank]
    print(sum(calls.made for calls in survivors), "calls of the survivors,", stats)
    assert stats["refresh_reuse"] == 0
    assert killed == [Killed(signal.SIGKILL)] * len(POINTS) * ROUNDS
    assert [error for calls in survivors for error in calls.failed] == []
    assert stats["token_requests"] - stats["refreshes"] == 1 + len(COSTS_A_LOGIN) * ROUNDS
    assert stats["token_requests"] > SECONDS / 2 / 2, "hardly a race"
