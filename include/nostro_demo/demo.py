"""`make demo`: the three DAGs once, from start to end, on a real Airflow beside the sandbox banks."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from nostro_demo import ledger, report
from nostro_demo.rest import Client
from nostro_demo.stage import Stage

DAYS_BACK = 2
AMOUNT, AMOUNT_MINOR, CURRENCY = "12.34", 1234, "EUR"


class Clock:
    """Prints what is being done, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._start:6.1f} s] {text}", flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.say(f"{text} …")
        began = time.monotonic()
        yield
        self.say(f"{text}: done in {time.monotonic() - began:.1f} s")


def run(directory: Path) -> None:
    """Raises RunFailed, ProcessFailed or ApiError if anything does not go as it should."""
    clock = Clock()
    clock.say("starting five sandbox banks and Airflow …")
    with Stage(directory) as stage:
        clock.say(f"running at {stage.airflow.url}, settings applied")
        _play(stage, clock)
        _show(stage, clock)
        clock.say("stopping …")
    clock.say(f"stopped; logs, lake and databases are in {stage.directory}")


def _play(stage: Stage, clock: Clock) -> None:
    end = datetime.now(UTC).date()
    start = end - timedelta(days=DAYS_BACK)
    maker, checker = stage.airflow.client("maker"), stage.airflow.client("checker")
    truth = stage.sandbox.truth()
    payout = _payout(truth["mangopay"])
    ledger.write(stage.lake, truth, start, end, {"mangopay": [_ledger_row(payout, end)]})
    maker.unpause("payouts")
    with clock.step(f"payout of {CURRENCY} {AMOUNT}, made by one user and approved by another"):
        pay(maker, checker, payout)
    with clock.step(f"statements from {start} to {end} of five banks"):
        maker.unpause("reconciliation")
        pull(maker, start, end, [f"{conn_type}_default" for conn_type in truth])
    with clock.step("reconciliation against the ledger"):
        reconcile(maker, start, end)


def pay(maker: Client, checker: Client, payout: dict[str, Any], timeout: float = 120) -> str:
    """One payout by two people, over the REST API; gives the id of the run."""
    run_id = maker.trigger("payouts", payout)
    question = maker.wait_for_question("payouts", run_id, timeout)
    checker.answer(question, "Approve")
    maker.wait_for_run("payouts", run_id, timeout)
    return run_id


def pull(client: Client, start: date, end: date, connections: list[str]) -> None:
    """The run by hand, and the nightly one for yesterday that the scheduler starts as soon as the DAG is unpaused."""
    run_id = client.trigger("statements", {**_range(start, end), "connections": connections})
    client.unpause("statements")
    client.wait_for_run("statements", run_id, timeout=150)
    wait_for_all_runs(client, "statements")


def reconcile(client: Client, start: date, end: date) -> None:
    """A run of `statements` publishes its completed days, and each day of each such run starts one reconciliation.

    Today is not complete: one more run, by hand, takes in the whole range, the demo's payout included. It comes last,
    so that the latest report is its.
    """
    days = [(start + timedelta(days=n)).isoformat() for n in range((end - start).days)]
    nightly = [run["partition_key"] for run in client.runs("statements") if run["partition_key"]]
    wait_for_partitions(client, "reconciliation", Counter(days + nightly))
    _run(client, "reconciliation", _range(start, end))


def wait_for_partitions(client: Client, dag_id: str, keys: Counter[str], timeout: float = 60) -> None:
    """Until the partitions of assets have started that many runs for each of the keys, and all runs have succeeded."""
    deadline = time.monotonic() + timeout
    while missing := keys - Counter(run["partition_key"] for run in client.runs(dag_id)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{dag_id}: no run for {', '.join(sorted(missing))} within {timeout:g} s")
        time.sleep(0.25)
    wait_for_all_runs(client, dag_id)


def wait_for_all_runs(client: Client, dag_id: str, timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    for found in client.runs(dag_id):
        client.wait_for_run(dag_id, found["dag_run_id"], max(1, deadline - time.monotonic()))


def _run(client: Client, dag_id: str, conf: dict[str, Any]) -> None:
    client.wait_for_run(dag_id, client.trigger(dag_id, conf), timeout=150)


def _range(start: date, end: date) -> dict[str, Any]:
    return {"start_date": start.isoformat(), "end_date": end.isoformat()}


def _payout(books: dict[str, Any]) -> dict[str, Any]:
    """From the wallet with the most money to a bank account of its owner."""
    accounts = {creditor["user_id"]: creditor["bank_reference"] for creditor in books["creditors"]}
    wallets = [a for a in books["accounts"] if a["currency"] == CURRENCY and a["owner"] in accounts]
    wallet = max(wallets, key=lambda account: account["balance_minor"])
    return {
        "conn_id": "mangopay_default",
        "end_to_end_id": f"DEMO-{secrets.token_hex(8)}",
        "amount": AMOUNT,
        "currency": CURRENCY,
        "debtor_account": wallet["account_id"],
        "creditor_name": "Example Supplier",
        "creditor_bank_reference": accounts[wallet["owner"]],
        "remittance_information": "Invoice 4711",
    }


def _ledger_row(payout: dict[str, Any], today: date) -> dict[str, Any]:
    return {
        "account_id": payout["debtor_account"],
        "booking_date": today.isoformat(),
        "credit_debit": "DBIT",
        "amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY,
        "reference": payout["end_to_end_id"],
    }


def _show(stage: Stage, clock: Clock) -> None:
    found = report.latest(stage.lake)
    print(f"\n{report.table(report.rows(stage.sandbox.stats(), found['banks']))}\n")
    clock.say(f"report: {found['report']}")
