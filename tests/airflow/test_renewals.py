"""A token near its end is renewed beside the task that uses it, and that task's end does not cut the renewal off."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from failing import requests
from runs import Runs, connection

from nostro_demo.process import wait_until
from nostro_demo.rest import Client
from nostro_demo.sandbox import Sandbox
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them

SLOW = 5  # seconds that the bank takes to give a token


class LastToken:
    """The token that was saved last, in the store's own row."""

    def __init__(self, stage: Stage) -> None:
        self._store = stage.airflow.home / "nostro.db"
        self._fernet = Fernet(stage.airflow.env["AIRFLOW__CORE__FERNET_KEY"])
        with closing(sqlite3.connect(self._store, timeout=20)) as connection:
            query = "SELECT identity, sealed FROM nostro_token ORDER BY updated_at DESC LIMIT 1"
            self._identity, sealed = connection.execute(query).fetchone()
        self._content = json.loads(self._fernet.decrypt(sealed))

    @property
    def value(self) -> str:
        return str(self._content["token"]["value"])

    def make_stale(self) -> None:
        """As it is some time later: still good, but due for renewal."""
        self._content["token"]["renew_at"] = datetime.now(UTC).isoformat()
        sealed = self._fernet.encrypt(json.dumps(self._content).encode()).decode()
        with closing(sqlite3.connect(self._store, timeout=20)) as connection, connection:
            connection.execute("UPDATE nostro_token SET sealed = ? WHERE identity = ?", (sealed, self._identity))


def test_the_end_of_a_task_waits_for_the_renewal_that_it_began(
    stage: Stage, admin: Client, runs: Runs, fresh_bank: Sandbox
):
    """The calls are long done when the bank gives the new token, which is in the store all the same."""
    admin.put("connections", [connection("renews_m2p", "m2p", fresh_bank.description)])
    assert runs.wait(runs.trigger("renews_m2p")).state == "success"
    old = LastToken(stage)
    old.make_stale()
    fresh_bank.faults(m2p={"delay_token": SLOW})

    assert runs.wait(runs.trigger("renews_m2p")).state == "success"
    wait_until("the new token is in the store", lambda: LastToken(stage).value != old.value, 30)
    *_, renewal = (request for request in requests(fresh_bank, "m2p") if request["path"] == "/auth/token")
    assert requests(fresh_bank, "m2p")[-1]["at"] < renewal["at"] + SLOW
    assert fresh_bank.count("m2p", "token_requests") == 2
