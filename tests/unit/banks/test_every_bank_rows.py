"""What all five banks promise of their rows."""

import copy
from datetime import date

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.banks.banking_circle.api import BankingCircleApi
from nostro.banks.kunacore.api import KunaCoreApi
from nostro.banks.m2p.api import M2pApi
from nostro.banks.mangopay.api import MangopayApi
from nostro.banks.mbanq.api import MbanqApi
from nostro.errors import UnexpectedAnswer
from nostro.money import Money

BANKS = ["mbanq", "m2p", "mangopay", "kunacore", "banking_circle"]
ANY_BANK = pytest.mark.parametrize("bank", BANKS)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["now", "12:30", "2024-13-01", "1E-400", "NaN", "-", 10**17, 1727081808 * 10**9, -1, "XXX"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
AMOUNTS = {
    "mbanq": ("amount",),
    "m2p": ("amount",),
    "mangopay": ("CreditedFunds", "Amount"),
    "kunacore": ("amount",),
    "banking_circle": ("amount", "amount"),
}
CURRENCIES = {
    "mbanq": ("currency", "code"),
    "m2p": ("transactionCurrencyCodeName",),
    "mangopay": ("CreditedFunds", "Currency"),
    "kunacore": ("asset",),
    "banking_circle": ("amount", "currency"),
}
KEYS = {
    "mbanq": "id",
    "m2p": "externalTransactionId",
    "mangopay": "Id",
    "kunacore": "id",
    "banking_circle": "bookingId",
}


def put(row, path, value):
    *way, name = path
    for step in way:
        row = row[step]
    row[name] = value


def paths(row, before=()):
    """The way to each value of a row."""
    for name, value in row.items():
        yield (*before, name)
        if isinstance(value, dict):
            yield from paths(value, (*before, name))


@ANY_BANK
def test_a_documented_row_is_one_entry(entries_of, rows, bank):
    """Each bank's documented row gives the same entry in ISO 20022's words."""
    (entry,) = entries_of(bank, rows(bank))
    assert (entry.account_id, entry.credit_debit, entry.status) == ("acc-1", "CRDT", "BOOK")
    assert entry.amount == Money(1260, "EUR")
    assert entry.exponent == 2
    assert entry.booking_date == date(2024, 1, 31)
    assert entry.end_to_end_id == "e2e-1"
    assert entry.entry_key
    assert entry.booked_at is None or entry.booked_at.tzinfo is not None


@ANY_BANK
def test_a_row_that_comes_twice_is_one_entry(entries_of, rows, bank):
    """A row that appears on two pages is one entry."""
    other = rows(bank, **{KEYS[bank]: "another"})
    assert len(entries_of(bank, rows(bank), other, rows(bank))) == 2


@pytest.mark.parametrize("bank", [bank for bank in BANKS if bank != "banking_circle"])
def test_pages_are_all_read(entries_of, rows, bank):
    """Rows on pages shorter than asked for are all read (to Banking Circle a short page is the end mark)."""
    keys = ["k3", "k1", "k2"]
    read = entries_of(bank, *(rows(bank, **{KEYS[bank]: key}) for key in keys), one_by_one=True)
    assert [entry.entry_key for entry in read] == keys


@ANY_BANK
@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        (date(2024, 1, 31), date(2024, 1, 31), 1),
        (date(2024, 1, 1), date(2024, 1, 31), 1),
        (date(2024, 1, 31), date(2024, 2, 28), 1),
        (date(2024, 1, 1), date(2024, 1, 30), 0),
        (date(2024, 2, 1), date(2024, 2, 28), 0),
    ],
)
def test_days_are_inclusive(entries_of, rows, bank, start, end, count):
    """An entry belongs to a range if it was booked within it, the first and the last day included."""
    assert len(entries_of(bank, rows(bank), start=start, end=end)) == count


@ANY_BANK
@given(data=st.data())
def test_junk_in_a_row_is_unexpected_and_nothing_else(entries_of, rows, bank, data):
    """A row with junk in any place gives sound entries or UnexpectedAnswer, never another error."""
    row = rows(bank)
    put(row, data.draw(st.sampled_from(sorted(paths(row)))), data.draw(JUNK))
    try:
        read = entries_of(bank, row, end=date(2030, 1, 1))
    except UnexpectedAnswer:
        return
    for entry in read:
        assert entry.amount.minor >= 0
        assert entry.credit_debit in ("CRDT", "DBIT")
        assert entry.status in ("BOOK", "PDNG", "INFO")


@ANY_BANK
@given(junk=JUNK)
def test_a_row_that_is_junk_is_unexpected(entries_of, bank, junk):
    """A row that is no object, or an object of other things, gives UnexpectedAnswer or nothing."""
    try:
        assert entries_of(bank, junk) == []
    except UnexpectedAnswer as unexpected:
        assert "c1" in str(unexpected)  # noqa: PT017 (either outcome is fine)


@ANY_BANK
@given(data=st.data())
def test_a_row_without_a_field_is_unexpected_or_an_entry(entries_of, rows, bank, data):
    """A row that lacks any one of its fields never raises anything but UnexpectedAnswer."""
    row = rows(bank)
    *way, name = data.draw(st.sampled_from(sorted(paths(row))))
    inner = row
    for step in way:
        inner = inner[step]
    del inner[name]
    try:
        entries_of(bank, row)
    except UnexpectedAnswer as unexpected:
        assert "c1" in str(unexpected)  # noqa: PT017 (either outcome is fine)


@ANY_BANK
@pytest.mark.parametrize("code", ["XYZ", "eur", "", "EURO", "XXX", None, 5, ["EUR"]])
def test_an_unknown_currency_is_an_error(entries_of, rows, bank, code):
    """A row in a currency that nobody knows is UnexpectedAnswer, neither dropped nor guessed."""
    if bank == "mbanq" and not code:
        code = "XYZ"  # a row without a currency there is in the account's
    row = copy.deepcopy(rows(bank))
    put(row, CURRENCIES[bank], code)
    row.pop("transactionCurrencyCode", None)
    with pytest.raises(UnexpectedAnswer):
        entries_of(bank, row)


@ANY_BANK
@pytest.mark.parametrize("amount", [True, False, None, "", "twelve", "NaN", [0, [1, 2], 0], {}, "12.601", 10**39])
def test_an_amount_that_is_none_is_an_error(entries_of, rows, bank, amount):
    """A row whose amount cannot be read to the last digit is UnexpectedAnswer."""
    row = copy.deepcopy(rows(bank))
    put(row, AMOUNTS[bank], amount)
    with pytest.raises(UnexpectedAnswer):
        entries_of(bank, row)


@ANY_BANK
@pytest.mark.parametrize("answer", [None, [], {}, 5, "x", {"result": 5}, {"data": {}}, {"pageItems": None}, [[]], [5]])
def test_another_answer_than_documented_is_unexpected(caller_of, bank, answer):
    """A page that is none is UnexpectedAnswer, unless it is an empty one in the bank's own shape."""
    api = {
        "mbanq": MbanqApi,
        "m2p": lambda caller: M2pApi(caller, ("e1",)),
        "mangopay": lambda caller: MangopayApi(caller, "cl1"),
        "kunacore": KunaCoreApi,
        "banking_circle": BankingCircleApi,
    }[bank](caller_of(lambda request: httpx.Response(200, json=answer)))
    for read in (
        lambda: list(api.accounts()),
        lambda: list(api.statement_entries("acc-1", date(2024, 1, 1), date(2024, 1, 31), True)),
    ):
        if bank == "mangopay" and answer == []:
            assert read() == []
        else:
            with pytest.raises(UnexpectedAnswer):
                read()
