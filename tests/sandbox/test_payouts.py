"""MANGOPAY's payouts, by bare httpx and by the bank's real SDK."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import mangopay
import pytest
from mangopay.api import APIRequest
from mangopay.auth import StorageStrategyBase
from mangopay.exceptions import APIError
from mangopay.resources import BankAccount, BankWirePayOut, User, Wallet
from mangopay.utils import Money
from sandbox_client import Sandbox, until

KEY = "0123456789abcdef"


@pytest.fixture
def order(sandbox: Sandbox) -> dict[str, Any]:
    """A payout the bank takes."""
    truth = sandbox.truth("mangopay")
    account = truth["accounts"][0]
    creditor = next(item for item in truth["creditors"] if item["user_id"] == account["owner"])
    return {
        "AuthorId": account["owner"],
        "Tag": f"order {time.monotonic_ns()}",
        "DebitedFunds": {"Currency": account["currency"], "Amount": 100},
        "Fees": {"Currency": account["currency"], "Amount": 10},
        "DebitedWalletId": account["account_id"],
        "BankAccountId": creditor["bank_reference"],
        "BankWireRef": "INV 1",
    }


def key() -> str:
    return f"{time.monotonic_ns():024d}"


def pay(sandbox: Sandbox, order: dict[str, Any], idempotency_key: str | None = None) -> httpx.Response:
    headers = sandbox.headers("mangopay")
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    path = f"/v2.01/{sandbox.credentials['mangopay']['login']}/payouts/bankwire/"
    return sandbox.client("mangopay").post(path, json=order, headers=headers)


def look(sandbox: Sandbox, path: str) -> httpx.Response:
    home = f"/v2.01/{sandbox.credentials['mangopay']['login']}"
    return sandbox.client("mangopay").get(home + path, headers=sandbox.headers("mangopay"))


def balance(sandbox: Sandbox, account_id: str) -> int:
    return next(int(a["balance_minor"]) for a in sandbox.truth("mangopay")["accounts"] if a["account_id"] == account_id)


def test_a_payout_debits_the_wallet_and_becomes_an_entry(sandbox: Sandbox, order: dict[str, Any]) -> None:
    before = balance(sandbox, order["DebitedWalletId"])
    created = pay(sandbox, order).json()
    assert (created["Status"], created["CreditedFunds"]["Amount"]) == ("CREATED", 90)
    done = until(lambda: (p := look(sandbox, f"/payouts/{created['Id']}").json())["Status"] == "SUCCEEDED" and p)
    assert done["ExecutionDate"]
    assert done["EndToEndId"]
    assert balance(sandbox, order["DebitedWalletId"]) == before - 100
    rows = look(sandbox, f"/wallets/{order['DebitedWalletId']}/transactions?Type=PAYOUT&Sort=CreationDate:DESC").json()
    assert (rows[0]["Id"], rows[0]["Tag"]) == (created["Id"], order["Tag"])
    [entry] = [e for e in sandbox.truth("mangopay")["entries"] if e["entry_key"] == created["Id"]]
    assert (entry["credit_debit"], entry["amount_minor"], entry["status"]) == ("DBIT", 100, "BOOK")
    assert entry["end_to_end_id"] == order["Tag"]
    payout = sandbox.truth("mangopay")["payouts"][-1]
    assert (payout["payout_id"], payout["status"], payout["end_to_end_id"]) == (
        created["Id"],
        "SUCCEEDED",
        order["Tag"],
    )
    assert sandbox.stats("mangopay")["payouts"] == 1


def test_a_payout_can_be_held(sandbox: Sandbox, order: dict[str, Any]) -> None:
    sandbox.faults("mangopay", hold_payouts=True)
    created = pay(sandbox, order).json()
    for _ in range(50):
        assert look(sandbox, f"/payouts/bankwire/{created['Id']}").json()["Status"] == "CREATED"
    sandbox.faults("mangopay")
    until(lambda: look(sandbox, f"/payouts/bankwire/{created['Id']}").json()["Status"] == "SUCCEEDED")


def test_a_payout_beyond_the_balance_fails_later(sandbox: Sandbox, order: dict[str, Any]) -> None:
    order["DebitedFunds"]["Amount"] = 10**15
    before = balance(sandbox, order["DebitedWalletId"])
    created = pay(sandbox, order).json()
    failed = until(lambda: (p := look(sandbox, f"/payouts/{created['Id']}").json())["Status"] == "FAILED" and p)
    assert failed["ResultCode"] == "001001"
    assert balance(sandbox, order["DebitedWalletId"]) == before


def test_a_key_is_used_once_whatever_came_of_it(sandbox: Sandbox, order: dict[str, Any]) -> None:
    used = key()
    created = pay(sandbox, order, used)
    again = pay(sandbox, order, used)
    assert (again.status_code, again.json()["Type"]) == (409, "idempotent_creation_conflict")
    kept = look(sandbox, f"/responses/{used}").json()
    assert (kept["StatusCode"], kept["Resource"]["Id"]) == ("200", created.json()["Id"])
    spoilt = key()
    assert pay(sandbox, {**order, "Fees": None}, spoilt).status_code == 400
    assert pay(sandbox, order, spoilt).status_code == 409
    assert look(sandbox, f"/responses/{key()}").status_code == 404
    assert sandbox.stats("mangopay")["payouts"] == 1


def test_a_key_is_used_once_by_callers_at_the_same_time(sandbox: Sandbox, order: dict[str, Any]) -> None:
    headers = {**sandbox.headers("mangopay"), "Idempotency-Key": key()}
    path = f"/v2.01/{sandbox.credentials['mangopay']['login']}/payouts/bankwire"
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(sandbox.client("mangopay").post, path, json=order, headers=headers) for _ in range(16)]
        assert sorted(call.result().status_code for call in calls) == [200] + [409] * 15
    assert sandbox.stats("mangopay")["payouts"] == 1


@pytest.mark.parametrize("wrong", ["short", "x" * 37, "0123456789abcdef_"])
def test_a_key_has_its_form(sandbox: Sandbox, order: dict[str, Any], wrong: str) -> None:
    assert pay(sandbox, order, wrong).status_code == 400
    assert sandbox.stats("mangopay")["protocol_errors"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("AuthorId", "somebody"),
        ("DebitedWalletId", "wlt_none"),
        ("BankAccountId", "DE89370400440532013000"),
        ("DebitedFunds", {"Currency": "EUR", "Amount": 1.5}),
        ("DebitedFunds", {"Currency": "XXX", "Amount": 1}),
        ("Fees", None),
        ("PayoutModeRequested", "FAST"),
    ],
)
def test_a_wrong_field_is_named(sandbox: Sandbox, order: dict[str, Any], field: str, value: Any) -> None:
    refused = pay(sandbox, {**order, field: value})
    assert (refused.status_code, refused.json()["Type"]) == (400, "param_error")
    assert field in refused.json()["errors"]


def test_an_answer_can_be_lost_after_the_payout_was_made(sandbox: Sandbox, order: dict[str, Any]) -> None:
    sandbox.faults("mangopay", lose_response={"times": 1, "path_contains": "/payouts/"})
    used = key()
    with pytest.raises(httpx.RemoteProtocolError):
        pay(sandbox, order, used)
    assert sandbox.stats("mangopay")["payouts"] == 1
    assert look(sandbox, f"/responses/{used}").json()["Resource"]["Tag"] == order["Tag"]


class _Memory(StorageStrategyBase):  # type: ignore[misc]
    """Keeps the token to this test; the SDK's own keeps it to the process."""

    def __init__(self) -> None:
        self.tokens: dict[str, Any] = {}

    def get(self, env_key: str) -> Any:
        return self.tokens.get(env_key)

    def store(self, token: Any, env_key: str) -> None:
        self.tokens[env_key] = token


@pytest.fixture
def sdk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> APIRequest:
    own = sandbox.credentials["mangopay"]
    monkeypatch.setattr(mangopay, "sandbox", True)
    return APIRequest(
        client_id=own["login"],
        apikey=own["password"],
        api_sandbox_url=sandbox.urls["mangopay"] + "/v2.01/",
        storage_strategy=_Memory(),
    )


def test_the_real_sdk_reads(sandbox: Sandbox, sdk: APIRequest) -> None:
    truth = sandbox.truth("mangopay")
    account = truth["accounts"][0]
    wallet = Wallet.get(account["account_id"], handler=sdk)
    assert wallet.balance.amount == account["balance_minor"]
    page = wallet.transactions.all(page=1, per_page=100, Sort="CreationDate:ASC", Status="SUCCEEDED")
    keys = {e["entry_key"] for e in truth["entries"] if e["account_id"] == wallet.id and e["status"] == "BOOK"}
    assert {transaction.id for transaction in page} == keys
    assert [user.id for user in User.all(handler=sdk)] == list(dict.fromkeys(a["owner"] for a in truth["accounts"]))
    user = User.get(account["owner"], handler=sdk)
    assert [item.id for item in user.bankaccounts.all()]
    stats = sandbox.stats("mangopay")
    assert (stats["token_requests"], stats["protocol_errors"], stats["unauthorized"]) == (1, 0, 0)


def test_the_real_sdk_pays(sandbox: Sandbox, sdk: APIRequest, order: dict[str, Any]) -> None:
    def payout() -> BankWirePayOut:
        return BankWirePayOut(
            author=User(id=order["AuthorId"]),
            debited_funds=Money(amount=100, currency="EUR"),
            fees=Money(amount=0, currency="EUR"),
            debited_wallet=Wallet(id=order["DebitedWalletId"]),
            bank_account=BankAccount(id=order["BankAccountId"]),
            bank_wire_ref="INV 2",
            tag="sdk order",
        )

    used = key()
    created = payout().save(handler=sdk, idempotency_key=used)
    assert until(lambda: BankWirePayOut.get(created["id"], handler=sdk).status == "SUCCEEDED")
    assert sandbox.truth("mangopay")["payouts"][-1]["end_to_end_id"] == "sdk order"
    with pytest.raises(APIError) as refused:
        payout().save(handler=sdk, idempotency_key=used)
    assert refused.value.code == 409
    assert sandbox.stats("mangopay")["protocol_errors"] == 0
