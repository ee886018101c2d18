"""Several processes, one token: what holds when workers start at once, die in the middle, or come later."""

import multiprocessing
import os
import signal
import time

import pytest
from airflow.sdk import BaseHook

from nostro import registry
from nostro.hooks import tokens

fork = multiprocessing.get_context("fork")  # as Airflow's task processes are made
BOUND = 60


def token_in_child(conn_id: str, results, start=None) -> None:
    """In a process of its own: the token's value, or what went wrong."""
    if start:
        start.wait(BOUND)
    try:
        results.put(BaseHook.get_hook(conn_id).get_token().value)
    except Exception as error:  # noqa: BLE001 (reported to the parent, which fails on it)
        results.put(error)


def run_children(conn_id: str, count: int) -> list:
    results, start = fork.Queue(), fork.Event()
    children = [fork.Process(target=token_in_child, args=(conn_id, results, start)) for _ in range(count)]
    for child in children:
        child.start()
    start.set()
    found = [results.get(timeout=BOUND) for _ in children]
    for child in children:
        child.join(BOUND)
    return found


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _as_new():
    tokens._token_cache.cache_clear()


@pytest.mark.parametrize("bank", registry.BANKS)
def test_processes_that_start_at_once_log_in_once(bank, set_connection, sandbox):
    """A fresh store, no token, eight at once: the others wait for the one that asks."""
    found = run_children(set_connection(bank), 8)
    assert len(set(map(str, found))) == 1, found
    assert sandbox.stats()[bank]["token_requests"] == 1


def test_a_worker_killed_in_mid_login_leaves_no_lease(set_connection, sandbox):
    """The kernel drops its lease; the next worker logs in, and nobody waits for a time-out."""
    conn_id = set_connection("m2p")
    sandbox.faults({"m2p": {"delay_token": 20}})
    victim = fork.Process(target=token_in_child, args=(conn_id, fork.Queue()))
    victim.start()
    wait_until(lambda: sandbox.stats()["m2p"]["token_requests"] == 1, "the victim asks for a token")
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(BOUND)
    sandbox.faults({"m2p": {}})
    began = time.monotonic()
    assert isinstance(run_children(conn_id, 1)[0], str)
    assert time.monotonic() - began < 10
    assert sandbox.stats()["m2p"]["token_requests"] == 2


@pytest.mark.parametrize("bank", ["mbanq", "kunacore"])
def test_a_second_try_after_the_tokens_end_uses_the_refresh_token(bank, set_connection, sandbox):
    """In another process: the refresh token waits sealed in the store; there is no second login."""
    conn_id = set_connection(bank)
    sandbox.faults({bank: {"token_lifetime": 1}})
    first = run_children(conn_id, 1)[0]
    wait_until(lambda: run_children(conn_id, 1)[0] != first, "the token's end")
    stats = sandbox.stats()[bank]
    assert stats["refreshes"] == stats["token_requests"] - 1 >= 1


def test_one_banks_slow_login_does_not_delay_anothers(set_connection, sandbox):
    """Leases are per token: SQLite's single writer never waits for a bank."""
    slow, quick = set_connection("m2p"), set_connection("mangopay")
    sandbox.faults({"m2p": {"delay_token": 20}})
    waiting = fork.Process(target=token_in_child, args=(slow, fork.Queue()))
    waiting.start()
    try:
        wait_until(lambda: sandbox.stats()["m2p"]["token_requests"] == 1, "the slow login is under way")
        began = time.monotonic()
        assert isinstance(run_children(quick, 1)[0], str)
        assert time.monotonic() - began < 10
    finally:
        waiting.kill()
        waiting.join(BOUND)


def test_a_store_sealed_with_other_keys_refuses(set_connection, monkeypatch):
    """A worker that holds a Fernet key of its own must not overwrite what the others share."""
    conn_id = set_connection("m2p")
    assert isinstance(run_children(conn_id, 1)[0], str)
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", "YW5vdGhlci1rZXktb2YtdGhpcnR5LXR3by1ieXRlcy0=")
    refused = run_children(conn_id, 1)[0]
    assert type(refused).__name__ == "SealBroken"
    assert "seal_keys" in str(refused)
