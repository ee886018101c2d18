"""Payouts of the four banks beside MANGOPAY: what they do alike, and where each differs."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from payer import SINGLES, TRANSACTIONS, Payer, unique
from sandbox_client import Sandbox, until

FOUR = ("mbanq", "m2p", "kunacore", "banking_circle")
only = pytest.mark.parametrize


@pytest.fixture
def payer(sandbox: Sandbox, bank: str) -> Payer:
    return Payer(sandbox, bank)


@only("bank", FOUR)
def test_a_payout_is_executed_a_little_later(payer: Payer) -> None:
    reference, before = unique(), payer.balance()
    assert payer.post(payer.body(reference)).status_code == 200
    done = until(lambda: (p := payer.payouts(reference)) and p[0]["book_status"] == "BOOK" and p[0])
    assert payer.balance() == before - done["amount_minor"]
    entries = payer.sandbox.truth(payer.bank)["entries"]
    [entry] = [entry for entry in entries if entry["entry_key"] == done["entry_key"]]
    assert (entry["credit_debit"], entry["status"], entry["end_to_end_id"]) == ("DBIT", "BOOK", reference)
    stats = payer.sandbox.stats(payer.bank)
    assert (stats["payouts"], stats["protocol_errors"]) == (1, 0)


@only("bank", FOUR)
def test_payouts_can_be_held(payer: Payer) -> None:
    payer.sandbox.faults(payer.bank, hold_payouts=True)
    reference, before = unique(), payer.balance()
    payer.post(payer.body(reference))
    time.sleep(0.4)
    assert payer.payouts(reference)[0]["book_status"] == "PDNG"
    assert payer.balance() == before
    payer.sandbox.faults(payer.bank)
    assert payer.payouts(reference)[0]["book_status"] == "BOOK"


@only("bank", FOUR)
def test_an_answer_can_be_lost_after_the_payout_was_made(payer: Payer) -> None:
    reference = unique()
    body = payer.body(reference)
    payer.sandbox.faults(payer.bank, lose_response={"times": 1, "path_contains": payer.path})
    with pytest.raises(httpx.RemoteProtocolError):
        payer.post(body)
    assert len(payer.payouts(reference)) == 1


@only("bank", FOUR)
def test_payouts_can_be_throttled_and_fail(payer: Payer) -> None:
    body = payer.body(unique())
    payer.sandbox.faults(payer.bank, fail_calls={"times": 1, "status": 503}, throttle_calls={"times": 1})
    assert [payer.post(body).status_code for _ in range(3)] == [429, 503, 200]
    stats = payer.sandbox.stats(payer.bank)
    assert (stats["throttled"], stats["payouts"]) == (1, 1)


@only(
    ("bank", "state"),
    [
        ("mbanq", "EXECUTION_FAILURE"),
        ("m2p", "FAILURE"),
        ("kunacore", "Declined"),
        ("banking_circle", "MissingFunding"),
    ],
)
def test_a_payout_beyond_the_balance(payer: Payer, state: str) -> None:
    reference, before = unique(), payer.balance()
    assert payer.post(payer.body(reference, 10**16)).status_code == 200
    until(lambda: payer.payouts(reference)[0]["status"] == state)
    assert payer.balance() == before


@only(("bank", "amount"), [("mbanq", 1.25), ("banking_circle", {"currency": "EUR", "amount": 1.25})])
def test_decimals_are_kept(payer: Payer, amount: Any) -> None:
    reference = unique()
    assert payer.post({**payer.body(reference), "amount": amount}).status_code == 200
    [payout] = payer.payouts(reference)
    assert (payout["amount_minor"], payout["request"]["amount"]) == (125, amount)


WRONG: list[tuple[str, dict[str, Any], int]] = [
    ("mbanq", {"amount": "1.00"}, 400),
    ("mbanq", {"amount": 0}, 400),
    ("mbanq", {"amount": 1.001}, 400),
    ("mbanq", {"currency": "GBP"}, 400),
    ("mbanq", {"paymentRail": "SWIFT"}, 400),
    ("mbanq", {"originator": {"accountId": "1"}}, 404),
    ("mbanq", {"idempotencyKey": "x"}, 400),
    ("m2p", {"amount": 1}, 400),
    ("m2p", {"amount": "-1.00"}, 400),
    ("m2p", {"txnRef": "a_b"}, 400),
    ("m2p", {"entityId": "NOBODY"}, 409),
    ("kunacore", {"amount": 1}, 400),
    ("kunacore", {"amount": "0.000000001"}, 400),
    ("kunacore", {"externalId": ""}, 400),
    ("kunacore", {"asset": "ETH"}, 404),
    ("banking_circle", {"requestedExecutionDate": "2026-01-01T00:00:00Z"}, 400),
    ("banking_circle", {"amount": {"currency": "EUR", "amount": "1"}}, 400),
    ("banking_circle", {"debtorAccount": {"account": "LU00"}}, 400),
    ("banking_circle", {"creditorName": None}, 400),
]


@only(("bank", "change", "status"), WRONG)
def test_a_wrong_body_pays_nothing(payer: Payer, change: dict[str, Any], status: int) -> None:
    assert payer.post({**payer.body(unique()), **change}).status_code == status
    stats = payer.sandbox.stats(payer.bank)
    assert (stats["payouts"], stats["protocol_errors"]) == (0, 1 if status == 400 else 0)


# Mbanq


@only("bank", ["mbanq"])
def test_mbanq_pays_again_under_the_same_external_id(payer: Payer) -> None:
    reference = unique()
    first, second = (payer.post(payer.body(reference)).json() for _ in range(2))
    assert set(first) == {"clientId", "id", "resourceId", "resourceIdentifier"}
    page = payer.get(f"/v1/payments?externalId={reference}&limit=1&offset=1")
    assert (page["totalFilteredRecords"], [p["id"] for p in page["pageItems"]]) == (2, [first["resourceId"]])
    assert first["id"] != second["id"]
    until(lambda: payer.get(f"/v1/payments/{first['id']}")["status"] == "EXECUTION_SUCCESS")
    assert payer.sandbox.stats("mbanq")["payouts"] == 2
    rows = payer.get(f"/v1/savingsaccounts/{payer.account['account_id']}/transactions")["pageItems"]
    assert first["resourceId"] in [row["transfer"]["id"] for row in rows if "transfer" in row]


@only("bank", ["mbanq"])
def test_mbanq_executes_a_draft_once(payer: Payer) -> None:
    reference = unique()
    draft = payer.post(payer.body(reference), "/v1/payments?command=create").json()
    time.sleep(0.4)
    assert payer.get(f"/v1/payments/{draft['id']}")["status"] == "DRAFT"
    assert payer.sandbox.stats("mbanq")["payouts"] == 0
    execute = f"/v1/payments/{draft['id']}?command=execute"
    assert [payer.client.post(execute, headers=payer.headers).status_code for _ in range(2)] == [200, 403]
    until(lambda: payer.get(f"/v1/payments/{draft['id']}")["status"] == "EXECUTION_SUCCESS")
    assert payer.sandbox.stats("mbanq")["payouts"] == 1
    assert payer.post({}, f"/v1/payments/{draft['id']}?command=undo").status_code == 400
    assert payer.client.get("/v1/payments/1", headers=payer.headers).status_code == 404


# M2P


@only("bank", ["m2p"])
def test_m2p_knows_a_txn_ref_again(payer: Payer) -> None:
    reference = unique()
    made = payer.post(payer.body(reference)).json()["result"]
    assert (made["transactionStatus"], made["amount"], made["crDr"]) == ("PENDING", "1.00", "D")
    again = payer.post(payer.body(reference, 2))
    assert (again.status_code, bool(again.json()["businessCode"])) == (409, True)
    for key in (made["externalTransactionId"], reference):
        status = f"{TRANSACTIONS}/status/{key}"
        found = until(lambda s=status: (r := payer.get(s)["result"])["transactionStatus"] == "SUCCESS" and r)
        assert (found["txnRef"], found["amount"]) == (reference, "1.00")
    rows = payer.post({"entityId": payer.account["owner"]}, f"{TRANSACTIONS}/fetch-all").json()["result"]
    assert (rows[0]["txnRef"], rows[0]["amount"]) == (reference, "-1.00")
    assert payer.sandbox.stats("m2p")["payouts"] == 1


# Kuna Core


@only("bank", ["kunacore"])
def test_kunacore_withdraws_again_under_the_same_external_id(payer: Payer) -> None:
    reference = unique()
    payer.sandbox.faults("kunacore", hold_payouts=True)
    made = payer.post(payer.body(reference)).json()["data"]
    assert (made["status"], made["type"]) == ("Created", "Withdraw")
    until(lambda: payer.operations(reference)[0]["status"] == "Processing")
    payer.sandbox.faults("kunacore")
    until(lambda: payer.operations(reference)[0]["status"] == "Completed")
    payer.post(payer.body(reference))
    assert len(payer.operations(reference)) == 2


@only("bank", ["kunacore"])
def test_kunacore_transfers_between_wallets(payer: Payer) -> None:
    accounts = payer.sandbox.truth("kunacore")["accounts"]
    target = next(a for a in accounts if a["account_id"] != payer.account["account_id"])
    reference = unique()
    body = {
        "fromWalletId": payer.account["account_id"],
        "toWalletId": target["account_id"],
        "amount": "0.00000007",
        "externalId": reference,
        "asset": payer.account["currency"],
    }
    assert payer.post(body, "/v2/transfer").json()["data"]["toWalletId"] == target["account_id"]
    until(lambda: payer.operations(reference)[0]["status"] == "Completed")
    assert payer.post({**body, "toWalletId": "nowhere"}, "/v2/transfer").status_code == 404
    assert payer.post({**body, "toWalletId": body["fromWalletId"]}, "/v2/transfer").status_code == 400


# Banking Circle


@only("bank", ["banking_circle"])
def test_banking_circle_pays_once_for_a_key(payer: Payer) -> None:
    key = {"Idempotency-Key": unique()}
    body = payer.body(unique())
    with ThreadPoolExecutor(4) as pool:
        answers = [call.result() for call in [pool.submit(payer.post, body, **key) for _ in range(8)]]
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert len({answer.json()["paymentId"] for answer in answers}) == 1
    assert payer.sandbox.stats("banking_circle")["payouts"] == 1
    assert payer.post(body, **{"Idempotency-Key": "x" * 101}).status_code == 400
    assert payer.post(body, **{"X-MessageReference": "x" * 36}).status_code == 400


@only("bank", ["banking_circle"])
def test_banking_circle_rejects_the_same_content_later(payer: Payer) -> None:
    reference = unique()
    body = {**payer.body(reference), "idempotencyKey": "in the wrong place"}
    payer.sandbox.faults("banking_circle", hold_payouts=True)
    first, second = (payer.post(body).json() for _ in range(2))
    assert first["status"] == second["status"] == "PendingProcessing"
    pending = payer.get(f"{SINGLES}/{first['paymentId']}")
    assert (pending["transfer"]["amount"]["currency"], pending["debtorInformation"]["debitAmount"]["amount"]) == ("", 1)
    payer.sandbox.faults("banking_circle")
    until(lambda: payer.get(f"{SINGLES}/{first['paymentId']}/status") == {"status": "Processed"})
    until(lambda: payer.get(f"{SINGLES}/{second['paymentId']}/status") == {"status": "Rejected"})
    found = payer.get(f"{SINGLES}?Reference={reference}&AccountId={payer.account['account_id']}")["result"]
    assert [p["paymentId"] for p in found] == [second["paymentId"], first["paymentId"]]
    assert len(payer.get(f"{SINGLES}?PaymentId={first['paymentId']}")["result"]) == 1
    day = datetime.now(UTC).date().isoformat()
    path = f"/api/v3/bookings?AccountId={payer.account['account_id']}&DateFrom={day}&PageSize=5000"
    booked = [row["paymentId"] for row in payer.get(path)["result"] if row["endToEndId"] == reference]
    assert booked == [first["paymentId"]]
