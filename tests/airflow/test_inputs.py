"""Bad connections in real runs: one sentence in the task's log that says which connection, which field, and what to do.

All are made at once and run side by side, and each test looks at its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from certificates import EXPIRED, EXPIRED_KEY, NO_P12
from runs import Outcome, Runs, connection

from nostro import registry
from nostro_demo.airflow import free_port
from nostro_demo.rest import Client
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them

WRONG_PASSWORD = "a-password-that-no-bank-knows"
CHAINED = ("During handling of the above exception", "The above exception was the direct cause")


@dataclass(frozen=True)
class Case:
    """`changes` to a connection that works, the field that is to be named, and the remedy."""

    name: str
    bank: str
    field: str
    remedy: str
    changes: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def conn_id(self) -> str:
        return f"bad_{self.name}"


NOBODY = f"http://127.0.0.1:{free_port()}"
CASES = [
    *(Case(f"password_{bank}", bank, "password", "check ", {"password": WRONG_PASSWORD}) for bank in registry.BANKS),
    Case("host", "mangopay", "host", "check 'host' and the network", {"host": NOBODY}),
    Case(
        "authorization_url",
        "banking_circle",
        "authorization_url",
        "check 'authorization_url' and the network",
        extra={"authorization_url": NOBODY},
    ),
    Case("tenant_m2p", "m2p", "tenant_id", "enter your tenant", extra={"tenant_id": ""}),
    Case("tenant_mbanq", "mbanq", "tenant_id", "enter your tenant", extra={"tenant_id": ""}),
    Case("mask", "kunacore", "password", "enter the real value again", {"password": "***"}),
    Case(
        "expired_certificate",
        "banking_circle",
        "client_certificate_pem",
        "get a new one from the bank and enter it",
        extra={**NO_P12, "client_certificate_pem": EXPIRED, "private_key_pem": EXPIRED_KEY},
    ),
    Case(
        "mismatched_key",
        "banking_circle",
        "private_key_pem",
        "enter the key that was made for this certificate",
        extra={**NO_P12, "client_certificate_pem": "pki:certificate", "private_key_pem": EXPIRED_KEY},
    ),
    Case(
        "two_certificates",
        "banking_circle",
        "private_key_p12",
        "keep one of the two forms and empty the other",
        extra={"client_certificate_pem": "pki:certificate", "private_key_pem": "pki:private_key"},
    ),
]


@pytest.fixture(scope="module")
def started(stage: Stage, admin: Client, runs: Runs) -> Iterator[dict[str, str]]:
    """The ids of the runs, by connection."""
    description = stage.sandbox.description
    bodies = []
    for case in CASES:
        extra = {
            name: description["pki"][value.removeprefix("pki:")] if value.startswith("pki:") else value
            for name, value in case.extra.items()
        }
        bodies.append(connection(case.conn_id, case.bank, description, extra=extra, **case.changes))
    admin.put("connections", bodies)
    yield {case.conn_id: runs.trigger(case.conn_id) for case in CASES}
    for case in CASES:
        admin.delete_connection(case.conn_id)


def assert_one_sentence(outcome: Outcome, conn_id: str) -> str:
    """The run failed with one exception, with nothing behind it, whose message is one sentence about `conn_id`."""
    assert outcome.state == "failed"
    assert [chained for chained in CHAINED if chained in outcome.text] == []
    assert len(outcome.exceptions) == 1, [error["exc_value"] for error in outcome.exceptions]
    sentence = str(outcome.exceptions[0]["exc_value"])
    assert re.fullmatch(r"Connection '\w+'.*[^.]\.", sentence), sentence  # without a line break
    assert not re.search(r"[.!?] [A-Z]", sentence), f"more than one sentence: {sentence}"
    assert f"Connection '{conn_id}'" in sentence
    return sentence


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_gives_one_sentence(case: Case, started: dict[str, str], runs: Runs):
    outcome = runs.wait(started[case.conn_id], timeout=90)

    sentence = assert_one_sentence(outcome, case.conn_id)
    assert f"'{case.field}'" in sentence
    assert case.remedy in sentence
    for secret in (WRONG_PASSWORD, "".join(EXPIRED_KEY.splitlines()[1:-1])):
        assert secret not in outcome.text
