"""One token request for a whole fleet, whatever it consists of and whatever has become of the token."""

import os
import subprocess
import sys

import postgresql
import pytest
from workers import Callers, at_once, banks_and_stores, token_and_read

from nostro import registry

fleet = pytest.mark.xdist_group("fleet")

# So slow that all have asked for a token before the first has one.
SLOW = {"delay_token": 1}

FERNET_KEYS = ("b25lLW1hY2hpbmVzLW93bi1rZXktb2YtMzItYnl0ZXM=", "YW5vdGhlci1rZXktb2YtdGhpcnR5LXR3by1ieXRlcy0=")

# A task's process on a machine of its own, as far as nostro can tell.
ELSEWHERE = """
import socket, sys
socket.gethostname = lambda: sys.argv[2]
from airflow.sdk import BaseHook
hook = BaseHook.get_hook(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print("token", hook.get_token().value, flush=True)
"""


@fleet
@pytest.mark.parametrize("bank", registry.BANKS)
def test_a_cold_fleet_logs_in_once(bank, store, set_connection, sandbox):
    """16 processes of 8 threads, an empty store, all at the same moment: one asks, the others wait for it."""
    conn_id = set_connection(bank)
    sandbox.faults({bank: SLOW})
    found = at_once(16, lambda: token_and_read(conn_id), threads=8)
    assert len(found) == 128
    assert isinstance(found[0], str), found[0]
    assert set(map(repr, found)) == {repr(found[0])}
    assert sandbox.count(bank, "token_requests") == 1


@fleet
@pytest.mark.parametrize(("bank", "store"), banks_and_stores("m2p", "kunacore"), indirect=["store"])
def test_a_revocation_met_by_a_whole_fleet_costs_one_token_request(bank, store, set_connection, sandbox):
    """Each of 12 processes is refused once, in the middle of its calls; one of them renews, for all."""
    with Callers(12, set_connection(bank)) as callers:
        callers.all_call()
        asked = sandbox.count(bank, "token_requests")
        sandbox.faults({bank: {**SLOW, "revoke": True}})
        callers.all_call(3)
    assert callers.failures == []
    assert asked == 1
    assert sandbox.count(bank, "token_requests") == 2
    assert sandbox.count(bank, "unauthorized") == 12


def test_interpreters_that_share_a_home_log_in_once(set_connection, sandbox, tmp_path, monkeypatch):
    """Nothing is set, and nothing is there yet: the store is a file that one of them makes in AIRFLOW_HOME."""
    conn_id = set_connection("kunacore")
    sandbox.faults({"kunacore": SLOW})
    monkeypatch.delenv("AIRFLOW__NOSTRO__STORE")
    found = tokens_of([interpreter("here", tmp_path, conn_id) for _ in range(3)])
    assert len(found) == 3
    assert len(set(found)) == 1
    assert (tmp_path / "nostro.db").exists()
    assert sandbox.count("kunacore", "token_requests") == 1


def test_machines_that_share_a_database_log_in_once(set_connection, sandbox, tmp_path, monkeypatch):
    """Interpreters with homes, host names and Airflow keys of their own; PostgreSQL and the seal keys in common."""
    conn_id = set_connection("m2p")
    sandbox.faults({"m2p": SLOW})
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", os.environ["AIRFLOW__CORE__FERNET_KEY"])
    with postgresql.database("machines") as url:
        monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", url)
        keys = [{"AIRFLOW__CORE__FERNET_KEY": key} for key in FERNET_KEYS]
        machines = [interpreter(f"worker-{n}", tmp_path / f"{n}", conn_id, **key) for n, key in enumerate(keys)]
        found = tokens_of(machines)
    assert len(found) == 2
    assert len(set(found)) == 1
    assert sandbox.count("m2p", "token_requests") == 1


def interpreter(host, home, conn_id, **env) -> subprocess.Popen:
    env = {**os.environ, "AIRFLOW_HOME": str(home), **env}
    command = [sys.executable, "-c", ELSEWHERE, conn_id, host]
    return subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def tokens_of(interpreters: list[subprocess.Popen]) -> list[str]:
    """What each says that its token is, asked for by all at the same moment."""
    try:
        for each in interpreters:
            assert said(each) == "ready"
        for each in interpreters:
            each.stdin.write("go\n")
            each.stdin.flush()
        return [said(each).removeprefix("token ") for each in interpreters]
    finally:
        for each in interpreters:
            each.kill()
            each.communicate()


def said(process: subprocess.Popen) -> str:
    """The next of its lines that is ours."""
    line = next((line for line in process.stdout if line.startswith(("ready", "token"))), None)
    assert line, "it has ended without a token"
    return line.strip()
