from datetime import date

import httpx
import pytest

from nostro.banks.banking_circle.api import BankingCircleApi
from nostro.errors import UnexpectedAnswer
from nostro.money import Money
from nostro.values import Balance


@pytest.fixture
def read(entries_of, rows):
    """The entries of one row with changes."""
    return lambda **changes: entries_of("banking_circle", rows("banking_circle", **changes))


@pytest.mark.parametrize(
    ("amount", "mark", "side"),
    [
        (12.60, "CRDT", "CRDT"),
        (-12.60, "DBIT", "DBIT"),
        (12.60, "DBIT", "DBIT"),
        (-12.60, None, "DBIT"),
        (12.60, None, "CRDT"),
    ],
)
def test_the_mark_tells_the_side_else_the_sign(read, amount, mark, side):
    """The amount is signed; the entry's is what moved, and its side is the mark's."""
    (entry,) = read(amount={"currency": "EUR", "amount": amount}, creditDebitIndicator=mark)
    assert (entry.credit_debit, entry.amount) == (side, Money(1260, "EUR"))


@pytest.mark.parametrize(
    "day", ["2024-01-31T00:00:00+00:00", "2024-01-31T00:00:00Z", "2024-01-31T00:00:00", "2024-01-31"]
)
def test_days_are_midnight_utc(read, day):
    """Booking and value day are days, in whatever ISO form."""
    (entry,) = read(bookingDate=day, valueDate=day)
    assert (entry.booking_date, entry.value_date) == (date(2024, 1, 31), date(2024, 1, 31))


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("Processed", ["BOOK"]),
        ("PendingProcessing", ["PDNG"]),
        ("Pending Processing", ["PDNG"]),
        ("MissingFunding", ["PDNG"]),
        ("Rejected", []),
        ("Cancelled", []),
        (None, ["BOOK"]),
        ("Reversed", ["BOOK"]),
    ],
)
def test_what_never_moved_is_no_entry(read, status, shown):
    """Rejected and cancelled rows are no entries, pending ones are pending, all others are booked."""
    assert [entry.status for entry in read(status=status)] == shown


def test_another_accounts_row_is_left_out(read):
    """A row of another account is not this one's."""
    assert read(accountId="other") == []


def test_the_counterparty_is_read(read):
    """Name, account and text of the other side are kept."""
    (entry,) = read()
    assert (entry.counterparty_name, entry.counterparty_account) == ("Bert", "DE02")
    assert entry.remittance_information == "for rent"


def bookings(rows, count: int, begin: int = 0):
    return [rows("banking_circle", bookingId=f"b-{n}") for n in range(begin, begin + count)]


def paged(caller_of, pages, size):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(int(request.url.params["PageNumber"]))
        page = pages[asked[-1] - 1] if asked[-1] <= len(pages) else []
        return httpx.Response(200, json={"result": page, "pageInfo": {"currentPage": asked[-1], "pageSize": size}})

    return BankingCircleApi(caller_of(answer)), asked


def test_only_an_empty_page_is_the_last(caller_of, rows):
    """The bank may use a smaller page than asked for, and not say so."""
    api, asked = paged(caller_of, [bookings(rows, 2), bookings(rows, 2, 2), bookings(rows, 1, 4)], 2)
    read = list(api.statement_entries("acc-1", date(2024, 1, 1), date(2024, 12, 31), True))
    assert len(read) == 5
    assert asked == [1, 2, 3, 4]


def test_a_full_last_page_is_followed_by_an_empty_one(caller_of, rows):
    """Without an end mark a full page is asked on after."""
    api, asked = paged(caller_of, [bookings(rows, 2), bookings(rows, 2, 2)], 2)
    assert len(list(api.statement_entries("acc-1", date(2024, 1, 1), date(2024, 12, 31), True))) == 4
    assert asked == [1, 2, 3]


@pytest.mark.parametrize("size", [0, -5, None])
def test_a_page_size_without_sense_does_not_go_on_for_ever(caller_of, rows, size):
    """A page size of nought or less ends all the same, or is an error."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        assert len(asked) < 10, "the bank is asked for ever more pages"
        page = bookings(rows, 2) if len(asked) == 1 else []
        return httpx.Response(200, json={"result": page, "pageInfo": {"pageSize": size}})

    entries = BankingCircleApi(caller_of(answer)).statement_entries("acc-1", date(2024, 1, 1), date(2024, 12, 31), True)
    try:
        assert len(list(entries)) == 2
    except UnexpectedAnswer as unexpected:
        assert "c1" in str(unexpected)  # noqa: PT017 (either outcome is fine)


def test_the_same_page_again_is_unexpected(caller_of, rows):
    """A bank that ignores the page number is found out."""
    page = {"result": bookings(rows, 2), "pageInfo": {"pageSize": 2}}
    with pytest.raises(UnexpectedAnswer, match="same page"):
        list(BankingCircleApi(caller_of(page)).statement_entries("acc-1", date(2024, 1, 1), date(2024, 12, 31), True))


def test_a_balance_is_the_opening_and_what_moved_since(caller_of):
    """Balances are exact, and IBANs go before other identifiers."""
    row = {
        "accountId": "a1",
        "accountDescription": "Main",
        "accountIdentifiers": [{"account": "123"}],
        "ibans": ["DK01"],
        "status": "Open",
        "currency": "EUR",
        "balances": [
            {"type": "CurrentBalance", "currency": "EUR", "beginOfDayAmount": 19435.5, "intraDayAmount": -9900.41}
        ],
    }
    (account,) = BankingCircleApi(caller_of({"result": [row], "pageInfo": {}})).accounts()
    assert (account.iban, account.name) == ("DK01", "Main")
    assert account.balances == (Balance("ITBD", Money(953509, "EUR")),)
    (other,) = BankingCircleApi(caller_of({"result": [{**row, "ibans": []}], "pageInfo": None})).accounts()
    assert other.iban == "123"
