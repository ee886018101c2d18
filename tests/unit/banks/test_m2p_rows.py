from datetime import date

import httpx
import pytest

from nostro.banks.m2p.api import M2pApi
from nostro.errors import ConfigurationError, UnexpectedAnswer
from nostro.money import Money
from nostro.values import Balance


@pytest.fixture
def read(entries_of, rows):
    """The entries of one row with changes."""
    return lambda **changes: entries_of("m2p", rows("m2p", **changes))


@pytest.mark.parametrize(
    ("amount", "mark", "side"),
    [
        ("-500.00", "D", "DBIT"),
        ("500.00", "D", "DBIT"),
        ("500.00", "C", "CRDT"),
        ("-500.00", None, "DBIT"),
        ("500.00", "CR", "CRDT"),
        (500, "dr", "DBIT"),
        (500.00, "Credit", "CRDT"),
    ],
)
def test_the_amount_is_signed_unsigned_or_a_number(read, amount, mark, side):
    """In all three forms the amount is what moved, and crDr tells the side, else the sign."""
    (entry,) = read(amount=amount, crDr=mark)
    assert (entry.amount, entry.credit_debit) == (Money(50000, "EUR"), side)


@pytest.mark.parametrize(("status", "shown"), [("SUCCESS", ["BOOK"]), ("FAILURE", []), ("PENDING", ["PDNG"])])
def test_a_failure_is_no_entry(read, status, shown):
    """A failed transaction is no entry, one that is not final is pending."""
    assert [entry.status for entry in read(transactionStatus=status)] == shown


def test_the_booking_day_is_indias(read):
    """A transaction late in the evening UTC is booked on the next day in India."""
    assert read(time="2024-01-31T18:29:59Z")[0].booking_date == date(2024, 1, 31)
    assert read(time="2024-01-31T18:30:00Z")[0].booking_date == date(2024, 2, 1)


def test_the_currency_is_a_number_or_its_letters(read):
    """A currency comes as ISO 4217's number, or by its letters."""
    assert read(transactionCurrencyCode="356")[0].amount.currency == "INR"
    assert read(transactionCurrencyCode=392, amount="12")[0].amount == Money(12, "JPY")
    assert read(transactionCurrencyCodeName="USD")[0].amount.currency == "USD"


def test_another_accounts_row_is_left_out(read):
    """A row of another of the entity's accounts is not this account's."""
    assert read(accountId="other") == []
    assert len(read(accountId=None)) == 1


def test_an_account_id_that_is_a_number_is_the_same_account(caller_of, rows):
    """An id of digits that comes as a number in a row is not lost: accounts() reads it leniently, too."""
    page = {"result": [rows("m2p", accountId=6459467901)], "pagination": {"totalPages": 1}}
    api = M2pApi(caller_of(page), ("e1",))
    assert len(list(api.statement_entries("6459467901", date(2024, 1, 1), date(2024, 12, 31), True))) == 1


def pages_of(caller_of, *answers):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(int(request.url.params["pageNo"]))
        return httpx.Response(200, json=answers[asked[-1]])

    return M2pApi(caller_of(answer), ("e1",)), asked


@pytest.mark.parametrize("pagination", [None, {"totalPages": 2}, {}])
def test_pages_count_from_nought_with_and_without_pagination(caller_of, rows, pagination):
    """Pages are read from 0 to the last one that the bank states, or to an empty one where it states none."""
    first, second = ({"result": [rows("m2p", externalTransactionId=key)], "pagination": pagination} for key in "ab")
    api, asked = pages_of(caller_of, first, second, {"result": None, "pagination": None})
    read = list(api.statement_entries("acc-1", date(2024, 1, 1), date(2024, 12, 31), True))
    assert [entry.entry_key for entry in read] == ["a", "b"]
    assert asked == ([0, 1] if pagination else [0, 1, 2])


def test_a_bank_that_ignores_the_page_does_not_go_on_for_ever(caller_of, rows):
    """The same full page again is an error; less than a page, again, is all there is."""
    one = M2pApi(caller_of({"result": [rows("m2p")], "pagination": None}), ("e1",))
    assert len(list(one.statement_entries("acc-1", date(2024, 1, 1), date(2024, 12, 31), True))) == 1
    page = [rows("m2p", externalTransactionId=str(n)) for n in range(100)]
    api = M2pApi(caller_of({"result": page, "pagination": None}), ("e1",))
    with pytest.raises(UnexpectedAnswer, match="same page"):
        list(api.statement_entries("acc-1", date(2024, 1, 1), date(2024, 12, 31), True))


def test_a_day_more_is_asked_for_on_either_side(caller_of):
    """The bank's filter is dd-mm-yyyy and may cut days in another zone, so that it is asked for a day more."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.read())
        return httpx.Response(200, json={"result": [], "pagination": None})

    list(M2pApi(caller_of(answer), ("e1",)).statement_entries("a", date(2024, 3, 1), date(2024, 12, 31), True))
    assert b'"29-02-2024"' in asked[0]
    assert b'"01-01-2025"' in asked[0]


def test_wallets_have_an_available_balance(caller_of):
    """A wallet is an account with its balance, which is a number here."""
    wallet = {"accountId": 12, "entityId": "e1", "balance": 15250.75, "currency": "INR", "status": "ACTIVE"}
    (account,) = M2pApi(caller_of({"result": wallet}), ("e1",)).accounts()
    assert (account.account_id, account.status) == ("12", "ACTIVE")
    assert account.balances == (Balance("ITAV", Money(1525075, "INR")),)


def test_without_entities_the_field_is_named(caller_of):
    """No call lists the entities: without them the connection's field is named."""
    with pytest.raises(ConfigurationError, match="entity_ids"):
        list(M2pApi(caller_of({}), ()).accounts())


def test_an_account_of_no_entity_is_told(caller_of):
    """An account that none of the entities has is told by the field to correct."""
    wallet = {"result": {"accountId": "12", "balance": 1, "currency": "INR"}}
    with pytest.raises(ConfigurationError, match="entity_ids"):
        M2pApi(caller_of(wallet), ("e1", "e2")).statement_entries("13", date(2024, 1, 1), date(2024, 1, 1), False)
