"""Credentials that a bank has refused are tried again when a person says so, once, or when they have changed."""

import re
import secrets

import pytest
from command_line import nostro, standing
from runs import Runs, connection

from nostro_demo.rest import Client
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them


def wrong(stage: Stage, bank: str) -> dict:
    """A connection whose password nobody has used before."""
    changes = {"password": f"wrong-{secrets.token_hex(8)}"}
    return connection(f"held_{bank}", bank, stage.sandbox.description, **changes)


def refused(stage: Stage, bank: str) -> int:
    return stage.sandbox.count(bank, "refused_logins")


def ends(runs: Runs, conn_id: str, number: int = 1) -> list[str]:
    """The states of as many runs, begun at the same time, once all have ended."""
    return [runs.wait(run_id, timeout=90).state for run_id in [runs.trigger(conn_id) for _ in range(number)]]


def test_after_a_refusal_nobody_logs_in_until_unlock_lets_one_login_pass(stage: Stage, admin: Client, runs: Runs):
    before = refused(stage, "m2p")
    admin.put("connections", [wrong(stage, "m2p")])
    assert ends(runs, "held_m2p", 2) == ["failed", "failed"]
    assert standing(stage, "held_m2p") == "held"
    assert ends(runs, "held_m2p") == ["failed"]
    assert refused(stage, "m2p") == before + 1

    said = nostro(stage, "unlock", "held_m2p")
    assert (said.status, said.out) == (0, "The next task that needs 'held_m2p' logs in once more.\n")
    assert ends(runs, "held_m2p", 2) == ["failed", "failed"]
    assert refused(stage, "m2p") == before + 2


def test_test_connection_tries_once_and_leaves_it_held(stage: Stage, admin: Client, runs: Runs):
    before, body = refused(stage, "mangopay"), wrong(stage, "mangopay")
    admin.put("connections", [body])
    assert ends(runs, "held_mangopay") == ["failed"]
    passed, message = admin.test_connection(body)
    assert not passed
    assert re.match(r"Token: Connection '\w+': MANGOPAY at .* refused the credentials", message)
    assert refused(stage, "mangopay") == before + 2
    assert ends(runs, "held_mangopay") == ["failed"]
    assert refused(stage, "mangopay") == before + 2


def test_a_corrected_connection_works_at_once(stage: Stage, admin: Client, runs: Runs):
    admin.put("connections", [wrong(stage, "kunacore")])
    assert ends(runs, "held_kunacore") == ["failed"]
    admin.put("connections", [connection("held_kunacore", "kunacore", stage.sandbox.description)])
    assert ends(runs, "held_kunacore") == ["success"]
    assert standing(stage, "held_kunacore") == "ready"
