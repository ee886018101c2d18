"""MANGOPAY's own ways: two modes, the owner's confirmation, the locked account, payouts under an idempotency key."""

import secrets
import time
from dataclasses import replace

import pytest
from airflow.sdk import BaseHook

from nostro.errors import (
    AccountLocked,
    ConfigurationError,
    OutcomeUnknown,
    PayoutConflict,
    UserActionPending,
)
from nostro.money import Money
from nostro.values import Creditor, Payout

CASE = {
    "read": ("GET", "/v2.01/{login}/users", None),
    "write": ("POST", "/v2.01/{login}/payouts/bankwire", {}),
    "keyed": "Idempotency-Key",
    "tokenless": {"auth_mode": "basic"},
    "required": ("host", "login", "password"),
}


@pytest.fixture
def hook(set_connection):
    return BaseHook.get_hook(set_connection("mangopay"))


@pytest.fixture
def payout(sandbox) -> Payout:
    books = sandbox.truth()["mangopay"]
    accounts = {c["user_id"]: c["bank_reference"] for c in books["creditors"]}
    wallet = max(
        (a for a in books["accounts"] if a["currency"] == "EUR" and a["owner"] in accounts),
        key=lambda a: a["balance_minor"],
    )
    creditor = Creditor("Supplier", bank_reference=accounts[wallet["owner"]])
    return Payout(f"T-{secrets.token_hex(8)}", Money(1234, "EUR"), wallet["account_id"], creditor, "Invoice 1")


def stats(sandbox):
    return sandbox.stats()["mangopay"]


def test_the_owners_confirmation_is_not_an_expired_token(hook, sandbox):
    """A 401 with PendingUserAction asks a person; renewing the token would help nobody."""
    wallet = hook.accounts()[0].account_id
    sandbox.faults({"mangopay": {"sca_required": True}})
    with pytest.raises(UserActionPending, match=r"mangopay_default.*owner confirm") as caught:
        hook.accounts()
    assert caught.value.remedy == "ask"
    assert "sca.sandbox" not in str(caught.value)
    with hook.get_conn() as client:
        assert client.get(f"/v2.01/{hook.fields.login}/wallets/{wallet}/transactions").status_code == 401
    assert stats(sandbox)["token_requests"] == 1


def test_a_locked_account_stops(hook, sandbox):
    sandbox.faults({"mangopay": {"locked": True}})
    with pytest.raises(AccountLocked, match=r"mangopay_default.*locked") as caught:
        hook.get_token()
    assert caught.value.remedy == "ask"


def test_a_payout_is_sent_once_however_often(hook, sandbox, payout, new_process):
    first = hook.submit_payout(payout)
    new_process()
    again = BaseHook.get_hook("mangopay_default").submit_payout(payout)
    assert first.bank_reference == again.bank_reference
    assert first.state == "ACCEPTED"
    assert stats(sandbox)["payouts"] == 1


def test_a_lost_answer_is_unknown_and_the_next_try_finds_the_payout(hook, sandbox, payout):
    sandbox.faults({"mangopay": {"lose_response": {"times": 1, "path_contains": "bankwire"}}})
    with pytest.raises(OutcomeUnknown, match=r"mangopay_default.*may or may not exist") as caught:
        hook.submit_payout(payout)
    assert caught.value.remedy == "retry"
    assert hook.submit_payout(payout).bank_reference
    assert stats(sandbox)["payouts"] == 1


def test_the_same_id_with_other_content_raises(hook, payout):
    hook.submit_payout(payout)
    with pytest.raises(PayoutConflict, match=payout.end_to_end_id):
        hook.submit_payout(replace(payout, amount=Money(1235, "EUR")))


def test_a_payouts_status_is_followed_to_its_end(hook, payout):
    hook.submit_payout(payout)
    deadline = time.monotonic() + 20
    while (report := hook.payout_status(payout)).state == "ACCEPTED":
        assert time.monotonic() < deadline
    assert report.state == "PAID"


def test_a_payout_never_sent_is_not_taken_for_failed(hook, payout):
    assert hook.payout_status(payout).state == "REVIEW"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"amount": Money(0, "EUR")}, "amount"),
        ({"amount": Money(-5, "EUR")}, "amount"),
        ({"end_to_end_id": ""}, "end_to_end_id"),
        ({"end_to_end_id": "x" * 36}, "end_to_end_id"),
        ({"creditor": Creditor("Nobody")}, "bank_reference"),
    ],
)
def test_a_payout_that_the_bank_cannot_take_is_not_sent(hook, sandbox, payout, change, named):
    with pytest.raises(ConfigurationError, match=named):
        hook.submit_payout(replace(payout, **change))
    assert stats(sandbox)["payouts"] == 0


def test_only_mangopay_pays_so_far(set_connection):
    for bank in ("mbanq", "m2p", "kunacore", "banking_circle"):
        assert not hasattr(BaseHook.get_hook(set_connection(bank)), "submit_payout")
