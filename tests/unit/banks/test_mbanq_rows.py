from datetime import date

import httpx
import pytest

from nostro.banks.mbanq.api import MbanqApi
from nostro.errors import UnexpectedAnswer
from nostro.money import Money
from nostro.values import Balance


@pytest.fixture
def read(entries_of, rows):
    """The entries of one row with changes."""
    return lambda **changes: entries_of("mbanq", rows("mbanq", **changes))


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-31",
        [2024, 1, 31],
        {"date": [2024, 1, 31], "time": {"hour": 23, "minute": 59, "second": 59, "nano": 0}},
        "2024-01-31T23:59:59Z",
    ],
)
def test_dates_come_in_three_shapes(read, value):
    """A day is text, a list of numbers or an object with both, and is the same day."""
    assert read(date=value)[0].booking_date == date(2024, 1, 31)


@pytest.mark.parametrize(
    "value", [None, "", "31 Jan 2024", [2024, 1], [2024, 13, 1], {}, {"date": None}, 20240131, [1e30]]
)
def test_other_dates_are_unexpected(read, value):
    """A day of another shape is not guessed at."""
    with pytest.raises(UnexpectedAnswer):
        read(date=value)


@pytest.mark.parametrize(
    ("kind", "side"),
    [
        ({"id": 1, "code": "x", "deposit": True}, "CRDT"),
        ({"id": 2, "code": "x", "withdrawal": True}, "DBIT"),
        ({"id": 3, "code": "savingsAccountTransactionType.interestPosting"}, "CRDT"),
        ({"id": 4, "code": "savingsAccountTransactionType.withdrawalFee"}, "DBIT"),
        ({"id": 999, "isDebit": True}, "DBIT"),
        ({"id": 999, "isDebit": False}, "CRDT"),
        ({"code": "savingsAccountTransactionType.deposit"}, "CRDT"),
        ({"code": "savingsAccountTransactionType.withdrawal"}, "DBIT"),
        ({"value": "DEPOSIT"}, "CRDT"),
        ("WITHDRAWAL", "DBIT"),
        (1, "CRDT"),
    ],
)
def test_the_type_tells_the_side(read, kind, side):
    """Number, flags or code of a transaction's type tell its direction."""
    assert read(transactionType=kind)[0].credit_debit == side


@pytest.mark.parametrize("kind", [{"id": 999, "code": "x"}, {"id": 999}, {}, None, "GIFT", 999, {"id": [1]}])
def test_an_unknown_type_is_unexpected(read, kind):
    """A direction is never guessed."""
    with pytest.raises(UnexpectedAnswer):
        read(transactionType=kind)


@pytest.mark.parametrize("number", [20, 21, 22])
def test_a_hold_moves_nothing(read, number):
    """Holds and releases change no booked balance, and are no entries."""
    assert read(transactionType={"id": number, "code": "savingsAccountTransactionType.onHold"}) == []


@pytest.mark.parametrize("change", [{"reversed": True}, {"isReversal": True}, {"status": "REJECTED"}])
def test_reversed_and_rejected_rows_are_no_entries(read, change):
    """A reversed transaction, its reversal and a rejected one move nothing."""
    assert read(**change) == []


@pytest.mark.parametrize(
    ("status", "shown"), [("PROCESSED", "BOOK"), ("PROCESSING", "PDNG"), ("NEW_ONE", "PDNG"), (None, "BOOK")]
)
def test_a_status_that_is_not_final_is_pending(read, status, shown):
    """What the bank still processes, or calls by a word not known yet, is pending."""
    assert read(status=status)[0].status == shown


def test_pending_rows_are_left_out_unless_asked_for(entries_of, rows):
    """A statement has booked entries only, by default."""
    assert entries_of("mbanq", rows("mbanq", status="PROCESSING"), pending=False) == []


@pytest.mark.parametrize(("amount", "minor"), [(12.60, 1260), ("12.60", 1260), (0.07, 7), (1e15, 10**17)])
def test_amounts_are_exact(read, amount, minor):
    """Decimal JSON numbers lose no cent."""
    assert read(amount=amount)[0].amount == Money(minor, "EUR")


def test_the_other_party_is_debtor_or_creditor(read, rows):
    """Money that comes in has a debtor, money that goes out a creditor."""
    transfer = {"debtor": {"name": "Bert", "identifier": "B"}, "creditor": {"name": "Carl", "identifier": "C"}}
    assert read(transfer=transfer)[0].counterparty_name == "Bert"
    out = read(transfer=transfer, transactionType={"id": 2, "code": "x"})[0]
    assert (out.counterparty_name, out.counterparty_account) == ("Carl", "C")


def test_an_empty_page_before_the_end_is_unexpected(caller_of):
    """A total that the pages do not reach is an error, not a shorter statement."""
    api = MbanqApi(caller_of({"totalFilteredRecords": 5, "pageItems": []}))
    with pytest.raises(UnexpectedAnswer):
        list(api.statement_entries("1", date(2024, 1, 1), date(2024, 1, 31), True))


def test_filters_are_in_english_whatever_the_locale(caller_of):
    """Days are asked for as 'dd MMM yyyy' with English months."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        return httpx.Response(200, json={"totalFilteredRecords": 0, "pageItems": []})

    list(MbanqApi(caller_of(answer)).statement_entries("1", date(2024, 5, 1), date(2024, 12, 31), False))
    assert (asked[0]["startDate"], asked[0]["endDate"]) == ("01 May 2024", "31 Dec 2024")


def test_accounts_have_both_balances(caller_of):
    """An account's booked and available balance are read, and may be negative."""
    answers = {
        "/v1/clients": {"totalFilteredRecords": 1, "pageItems": [{"id": 1}]},
        "/v1/clients/1/accounts": {"savingsAccounts": [{"id": 7}]},
        "/v1/savingsaccounts/7": {
            "accountNo": "0007",
            "currency": {"code": "USD"},
            "summary": {"accountBalance": -1.5, "availableBalance": 0},
        },
    }
    (account,) = MbanqApi(caller_of(lambda r: httpx.Response(200, json=answers[r.url.path]))).accounts()
    assert (account.account_id, account.currency, account.name) == ("7", "USD", "0007")
    assert account.balances == (Balance("ITBD", Money(-150, "USD")), Balance("ITAV", Money(0, "USD")))
