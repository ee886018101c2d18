"""Calls from event loops, in real runs: an async task, and a deferred one whose trigger asks from the triggerer."""

import sqlite3
from contextlib import closing

import pytest
from leaks import credentials_of, places, tokens_of
from runs import connection

from nostro_demo.process import wait_until
from nostro_demo.rest import Client
from nostro_demo.sandbox import Sandbox
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them


def trigger_rows(stage: Stage) -> list[tuple[str, str]]:
    """The triggers that now wait: their class, and what they carry."""
    with closing(sqlite3.connect(stage.airflow.home / "airflow.db", timeout=20)) as metadata:
        return metadata.execute('SELECT classpath, kwargs FROM "trigger"').fetchall()


def test_an_async_task_and_a_trigger_use_one_token_that_neither_hands_to_airflow(
    stage: Stage, admin: Client, fresh_bank: Sandbox
):
    """They ask for it at the same time, from two processes. The trigger's row has the connection's id, and no more."""
    fresh_bank.faults(m2p={"delay_calls": 4})  # so that the trigger is at work while its row is read
    admin.put("connections", [connection("async_m2p", "m2p", fresh_bank.description)])
    run_id = admin.trigger("async_calls", {"conn_id": "async_m2p"})
    wait_until("a call is under way", lambda: trigger_rows(stage) and fresh_bank.count("m2p", "calls") > 0, 60)
    ((_, carried),) = trigger_rows(stage)
    assert "async_m2p" in carried
    secrets = tokens_of(stage) | credentials_of(fresh_bank)
    assert places(stage, secrets) == []
    assert trigger_rows(stage), "the trigger's row was gone before it was looked at"

    admin.wait_for_run("async_calls", run_id)
    assert admin.xcom("async_calls", run_id, "ask") == [200] * 5
    assert admin.xcom("async_calls", run_id, "defer") == [200]
    stats = fresh_bank.stats()["m2p"]
    assert (stats["token_requests"], stats["calls"], stats["protocol_errors"]) == (1, 6, 0)
    assert places(stage, {"DeadlockImminentError", *secrets}) == []
