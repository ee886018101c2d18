import json
import re
from dataclasses import replace

import httpx
import pytest

from nostro.banks.mangopay.api import MangopayApi
from nostro.banks.mangopay.payouts import MangopayPayouts
from nostro.errors import ConfigurationError, OutcomeUnknown, PayoutConflict, Throttled, TokenRefused
from nostro.money import Money
from nostro.values import Creditor, Payout

PAYOUT = Payout("e2e-1", Money(1260, "EUR"), "wlt_1", Creditor("Bert", bank_reference="bank_1"), "rent")


class Bank:
    """A MANGOPAY of one wallet: answers payouts by `status`, and remembers what it was sent."""

    def __init__(self, caller_of, status: int = 200, body=None, first=None, origin: str = "https://bank.example"):
        self.status, self.body, self.first = status, body, first
        self.keys: list[str] = []
        self.sent: list[dict] = []
        self.payouts = MangopayPayouts(MangopayApi(caller_of(self.answer), "cl1"), origin)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if "/wallets/" in request.url.path:
            return httpx.Response(200, json={"Owners": ["user_1"]})
        if "/responses/" in request.url.path:
            self.keys.append(request.url.path.rsplit("/", 1)[1])
            return httpx.Response(404) if self.first is None else httpx.Response(200, json=self.first)
        if request.method == "GET":
            return httpx.Response(200, json=self.body)
        self.keys.append(request.headers["Idempotency-Key"])
        self.sent.append(json.loads(request.read()))
        return httpx.Response(self.status, json=self.body or {"Id": "po_1", "Status": "CREATED"})


@pytest.fixture
def bank(caller_of):
    return lambda **more: Bank(caller_of, **more)


def first_answer(**resource):
    funds = {"Currency": "EUR", "Amount": 1260}
    made = {"Id": "po_1", "DebitedFunds": funds, "DebitedWalletId": "wlt_1", "BankAccountId": "bank_1", **resource}
    return {"StatusCode": "200", "Resource": made}


def test_a_payout_goes_out_as_documented(bank):
    """A payout's amount, wallet, creditor and text go where the bank wants them."""
    there = bank()
    report = there.payouts.submit(PAYOUT)
    assert (report.state, report.bank_reference) == ("ACCEPTED", "po_1")
    assert there.sent == [
        {
            "AuthorId": "user_1",
            "Tag": "e2e-1",
            "DebitedFunds": {"Currency": "EUR", "Amount": 1260},
            "Fees": {"Currency": "EUR", "Amount": 0},
            "DebitedWalletId": "wlt_1",
            "BankAccountId": "bank_1",
            "BankWireRef": "rent",
        }
    ]


def test_the_key_is_the_payouts_identity_alone(bank):
    """The same payout has the same key in every process, whatever its content; another identity has another key."""
    keys = []
    for payout, origin in (
        (PAYOUT, "https://bank.example"),
        (replace(PAYOUT, amount=Money(1, "EUR")), "https://bank.example"),
        (replace(PAYOUT, end_to_end_id="e2e-2"), "https://bank.example"),
        (PAYOUT, "https://other.example"),
    ):
        there = bank(origin=origin)
        there.payouts.submit(payout)
        keys += there.keys
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9-]{16,36}", key) for key in keys)


@pytest.mark.parametrize(
    ("status", "state"), [("CREATED", "ACCEPTED"), ("SUCCEEDED", "PAID"), ("FAILED", "REJECTED"), ("NEW", "PENDING")]
)
def test_a_repeated_payout_is_reported_not_sent_again(bank, status, state):
    """409 for a known key leads to what became of the first call."""
    there = bank(status=409, body={"Id": "po_1", "Status": status, "ResultCode": "121001"}, first=first_answer())
    report = there.payouts.submit(PAYOUT)
    assert (report.state, report.bank_reference) == (state, "po_1")
    assert report.reason == ("result code 121001" if state == "REJECTED" else None)
    assert len(there.sent) == 1
    assert len(set(there.keys)) == 1


@pytest.mark.parametrize(
    "difference",
    [{"DebitedFunds": {"Currency": "EUR", "Amount": 1}}, {"DebitedWalletId": "wlt_2"}, {"BankAccountId": "bank_2"}],
)
def test_the_same_id_with_other_content_is_a_conflict(bank, difference):
    """An end_to_end_id that was used for something else raises, and names what differs."""
    with pytest.raises(PayoutConflict, match=next(iter(difference))):
        bank(status=409, body={}, first=first_answer(**difference)).payouts.submit(PAYOUT)


def test_a_known_key_without_a_first_answer_is_unknown(bank):
    """If the bank knows the key but not what became of it, nobody guesses."""
    with pytest.raises(OutcomeUnknown):
        bank(status=409, body={}).payouts.submit(PAYOUT)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_what_the_bank_decided_against_is_rejected(bank, status):
    """A definite refusal is a report with the bank's own word for why."""
    report = bank(status=status, body={"Type": "param_error", "Message": "hush"}).payouts.submit(PAYOUT)
    assert (report.state, report.reason) == ("REJECTED", "param_error")
    odd = bank(status=status, body={"Type": "<script>"}).payouts.submit(PAYOUT)
    assert odd.reason == f"status {status}"


@pytest.mark.parametrize(
    ("status", "kind"), [(401, TokenRefused), (429, Throttled), (500, OutcomeUnknown), (408, OutcomeUnknown)]
)
def test_what_says_nothing_of_the_payout_is_no_rejection(bank, status, kind):
    """Throttling, a refused token and a gateway's answer reject no payout."""
    with pytest.raises(kind):
        bank(status=status).payouts.submit(PAYOUT)


def test_a_payout_that_the_bank_does_not_know_is_for_review(bank):
    """Without a record under its key a payout is neither paid nor rejected."""
    assert bank().payouts.status(PAYOUT).state == "REVIEW"


def test_a_refused_first_call_is_reported_as_rejected(bank):
    """What the bank's record says of a refused first call is REJECTED, with its word."""
    report = bank(first={"StatusCode": "400", "Resource": {"Type": "param_error"}}).payouts.status(PAYOUT)
    assert (report.state, report.reason) == ("REJECTED", "param_error")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"end_to_end_id": ""}, "end_to_end_id"),
        ({"end_to_end_id": "x" * 36}, "end_to_end_id"),
        ({"amount": Money(0, "EUR")}, "amount"),
        ({"amount": Money(-5, "EUR")}, "amount"),
        ({"creditor": Creditor("Bert")}, "creditor"),
    ],
)
def test_what_the_bank_cannot_take_is_told_before_it_is_sent(bank, change, name):
    """A payout without a sound id, amount or creditor is refused by the field, and nothing is sent."""
    there = bank()
    with pytest.raises(ConfigurationError, match=name):
        there.payouts.submit(replace(PAYOUT, **change))
    assert there.sent == []


def test_an_unknown_currency_is_not_sent(bank):
    """Minor units of an unknown currency mean nothing."""
    there = bank()
    with pytest.raises(ConfigurationError, match=r"payout\.amount.*XYZ"):
        there.payouts.submit(replace(PAYOUT, amount=Money(5, "XYZ")))
    assert there.sent == []
