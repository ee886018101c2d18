"""Real runs on a real Airflow: tries, tokens in XCom, statements in the lake, four eyes."""

import hashlib
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nostro import registry
from nostro_demo import demo
from nostro_demo.rest import Client, RunFailed
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)


def store(stage: Stage) -> sqlite3.Connection:
    return sqlite3.connect(stage.airflow.home / "nostro.db", timeout=20)


@pytest.fixture
def cold(stage: Stage) -> Stage:
    """No bank has given a token yet: the store is empty, the counters are at nought."""
    if (stage.airflow.home / "nostro.db").exists():
        with closing(store(stage)) as connection, connection:
            connection.execute("DELETE FROM nostro_token")
    stage.sandbox.reset()
    return stage


def run(client: Client, dag_id: str, conf: dict) -> str:
    run_id = client.trigger(dag_id, conf)
    client.wait_for_run(dag_id, run_id, timeout=120)
    return run_id


def test_two_tries_of_a_task_the_first_killed_log_in_once(cold: Stage, admin: Client):
    """Two processes, one of them SIGKILLed: the second finds the token in the store."""
    runs = {c: admin.trigger("killed_try", {"conn_id": f"{c}_default"}) for c in ("m2p", "banking_circle")}
    for bank, run_id in runs.items():
        admin.wait_for_run("killed_try", run_id, timeout=120)
        tries = admin.task_instances("killed_try", run_id)[0]["try_number"]
        assert tries == 2
        assert cold.sandbox.stats()[bank]["token_requests"] == 1


def test_a_second_try_after_the_tokens_end_refreshes_and_does_not_log_in(cold: Stage, admin: Client):
    banks = ("mbanq", "kunacore")
    cold.sandbox.faults({bank: {"token_lifetime": 2} for bank in banks})
    runs = {bank: admin.trigger("killed_try", {"conn_id": f"{bank}_default"}) for bank in banks}
    for bank, run_id in runs.items():
        admin.wait_for_run("killed_try", run_id, timeout=120)
        stats = cold.sandbox.stats()[bank]
        assert stats["refreshes"] >= 1
        assert stats["token_requests"] - stats["refreshes"] == 1, f"{bank} was logged in to again"
    cold.sandbox.faults({})


def test_a_sealed_token_crosses_xcom_and_lies_there_as_ciphertext(cold: Stage, admin: Client):
    run_id = run(admin, "sealed_xcom", {"conn_id": "mangopay_default"})
    sealed = admin.xcom("sealed_xcom", run_id, "mint")
    assert sealed.startswith("gAAAA")
    accounts = {admin.xcom("sealed_xcom", run_id, "use", map_index=n) - 1000 * (n + 1) for n in range(3)}
    assert accounts == {len(cold.sandbox.truth()["mangopay"]["accounts"])}
    assert cold.sandbox.stats()["mangopay"]["token_requests"] == 1


def test_statements_are_the_banks_entries_by_account_and_day(cold: Stage, admin: Client):
    """All five banks, a login each; the files hold exactly the books, and a second run leaves the same bytes."""
    start = YESTERDAY - timedelta(days=1)
    admin.unpause("statements")
    demo.wait_for_all_runs(admin, "statements")
    conf = {
        "start_date": str(start),
        "end_date": str(YESTERDAY),
        "connections": [f"{b}_default" for b in registry.BANKS],
    }
    run(admin, "statements", conf)
    stats = cold.sandbox.stats()
    assert {bank: stats[bank]["token_requests"] for bank in registry.BANKS} == dict.fromkeys(registry.BANKS, 1)
    assert rows(cold.lake, start, YESTERDAY) == booked(cold, start, YESTERDAY)
    before = digests(cold.lake)
    run(admin, "statements", conf)
    assert digests(cold.lake) == before
    published = {(e["name"], e["partition_key"]) for e in admin.asset_events()}
    assert {(f"statements/{b}_default", str(d)) for b in registry.BANKS for d in (start, YESTERDAY)} <= published


def test_only_the_banks_chosen_are_pulled(cold: Stage, admin: Client):
    day = YESTERDAY - timedelta(days=9)
    admin.unpause("statements")
    run_id = run(admin, "statements", {"start_date": str(day), "end_date": str(day), "connections": ["m2p_default"]})
    states = {ti["task_id"]: ti["state"] for ti in admin.task_instances("statements", run_id)}
    assert states["m2p_default.publish"] == "success"
    assert states["mangopay_default.list_accounts"] == "skipped"
    assert states["mangopay_default.publish"] == "skipped"
    assert {path.parts[-4] for path in cold.lake.rglob(f"day={day}/*.parquet")} == {"connection=m2p_default"}


def test_the_one_who_triggered_a_payout_cannot_approve_it(cold: Stage):
    maker = cold.airflow.client("maker")
    maker.unpause("payouts")
    before = cold.sandbox.stats()["mangopay"]["payouts"]
    run_id = maker.trigger("payouts", demo._payout(cold.sandbox.truth()["mangopay"]))
    maker.answer(maker.wait_for_question("payouts", run_id), "Approve")
    with pytest.raises(RunFailed):
        maker.wait_for_run("payouts", run_id)
    assert "maker triggered this run and cannot approve it" in maker.log("payouts", run_id, "approve")
    assert cold.sandbox.stats()["mangopay"]["payouts"] == before


def test_a_rejected_payout_is_not_sent(cold: Stage):
    maker, checker = cold.airflow.client("maker"), cold.airflow.client("checker")
    maker.unpause("payouts")
    payout = {**demo._payout(cold.sandbox.truth()["mangopay"]), "end_to_end_id": f"NO-{secrets.token_hex(8)}"}
    run_id = maker.trigger("payouts", payout)
    checker.answer(maker.wait_for_question("payouts", run_id), "Reject")
    maker.wait_for_run("payouts", run_id)
    assert payout["end_to_end_id"] not in {p["end_to_end_id"] for p in cold.sandbox.truth()["mangopay"]["payouts"]}


def test_an_amount_beyond_any_machine_number_passes_through_reconciliation(cold: Stage, admin: Client):
    """An 18-digit asset's minor units go through XCom as text; a day never pulled is said to be that."""
    admin.unpause("reconciliation")
    demo.wait_for_all_runs(admin, "reconciliation")
    day = YESTERDAY - timedelta(days=20)
    ledger = cold.lake / "ledger" / "kunacore_default.csv"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    header = "account_id,booking_date,credit_debit,amount_minor,currency,reference"
    ledger.write_text(f"{header}\nw,{day},CRDT,{4 * 10**21},ETH,ref-1\n")
    run_id = run(admin, "reconciliation", {"start_date": str(day), "end_date": str(day)})
    index = [f"{bank}_default" for bank in registry.BANKS].index("kunacore_default")
    breaks = admin.xcom("reconciliation", run_id, "reconcile", map_index=index)["breaks"]
    assert [(b["code"], b["ledger_minor"]) for b in breaks] == [("NOT_PULLED", str(4 * 10**21))]


@pytest.mark.parametrize("dag_id", ["statements", "reconciliation"])
def test_a_range_the_wrong_way_round_ends_the_run_at_once(cold: Stage, admin: Client, dag_id: str):
    """No retry would mend it, and no bank is asked."""
    admin.unpause(dag_id)
    demo.wait_for_all_runs(admin, dag_id)
    calls = sum(bank["calls"] for bank in cold.sandbox.stats().values())
    run_id = admin.trigger(dag_id, {"start_date": "2026-02-02", "end_date": "2026-02-01"})
    with pytest.raises(RunFailed, match="start_date 2026-02-02 is after end_date 2026-02-01; swap them"):
        admin.wait_for_run(dag_id, run_id, timeout=60)
    assert sum(bank["calls"] for bank in cold.sandbox.stats().values()) == calls


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conn_id": "m2p_default"}, "takes no payouts"),
        ({"amount": "1,234.50"}, "amount '1,234.50' EUR is an amount that is no number"),
        ({"amount": "-5"}, "not positive"),
        ({"debtor_account": " "}, "debtor_account is empty"),
    ],
)
def test_a_payout_that_could_never_be_sent_asks_nobody(cold: Stage, change: dict, said: str):
    """It ends before the approval."""
    maker = cold.airflow.client("maker")
    maker.unpause("payouts")
    run_id = maker.trigger("payouts", {**demo._payout(cold.sandbox.truth()["mangopay"]), **change})
    with pytest.raises(RunFailed, match=said):
        maker.wait_for_run("payouts", run_id, timeout=60)
    assert maker.hitl_details("payouts", run_id) == []


def rows(lake: Path, start: date, end: date) -> set[tuple]:
    found = [
        (path.parts[-4].removeprefix("connection=").removesuffix("_default"), row)
        for path in lake.glob("statements/**/entries.parquet")
        for row in pq.ParquetFile(path).read().to_pylist()
    ]
    names = ("account_id", "entry_key", "credit_debit", "amount_minor", "currency", "booking_date")
    keys = [(bank, *(str(row[name]) for name in names)) for bank, row in found if start <= row["booking_date"] <= end]
    assert len(keys) == len(set(keys))
    return set(keys)


def booked(stage: Stage, start: date, end: date) -> set[tuple]:
    names = ("account_id", "entry_key", "credit_debit", "amount_minor", "currency", "booking_date")
    return {
        (bank, *(str(e[name]) for name in names))
        for bank, books in stage.sandbox.truth().items()
        for e in books["entries"]
        if e["status"] == "BOOK" and str(start) <= e["booking_date"] <= str(end)
    }


def digests(lake: Path) -> dict[str, str]:
    files = lake.glob("statements/**/entries.parquet")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
