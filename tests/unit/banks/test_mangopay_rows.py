from datetime import UTC, date, datetime

import httpx
import pytest

from nostro.banks.mangopay.api import MangopayApi
from nostro.errors import TokenRefused, UnexpectedAnswer, UserActionPending
from nostro.money import Money
from nostro.values import Balance

OUT = {"CreditedWalletId": "wlt_2", "DebitedWalletId": "acc-1"}


@pytest.fixture
def read(entries_of, rows):
    """The entries of one row with changes."""
    return lambda **changes: entries_of("mangopay", rows("mangopay", **changes))


def test_what_comes_in_is_the_credited_funds(read):
    """Coming in, the wallet gains CreditedFunds."""
    (entry,) = read()
    assert (entry.credit_debit, entry.amount) == ("CRDT", Money(1260, "EUR"))


@pytest.mark.parametrize("kind", ["PAYIN", "TRANSFER", "PAYOUT", "CONVERSION"])
def test_what_goes_out_is_the_debited_funds(read, kind):
    """Going out, the wallet loses DebitedFunds, fees included; the wallets tell the side, not the Type."""
    (entry,) = read(Type=kind, **OUT)
    assert (entry.credit_debit, entry.amount) == ("DBIT", Money(1270, "EUR"))


def test_a_refund_runs_backwards(read):
    """The documented refund of a transfer: 490 leave the wallet that got them, 500 come back, fees negative."""
    refund = {
        "Id": "refund_m_1",
        "Nature": "REFUND",
        "DebitedFunds": {"Currency": "EUR", "Amount": 490},
        "CreditedFunds": {"Currency": "EUR", "Amount": 500},
        "Fees": {"Currency": "EUR", "Amount": -10},
    }
    (back,) = read(**refund)
    (gone,) = read(**refund, **OUT)
    assert (back.credit_debit, back.amount.minor) == ("CRDT", 500)
    assert (gone.credit_debit, gone.amount.minor) == ("DBIT", 490)
    assert back.bank_transaction_code == "TRANSFER/REFUND"


@pytest.mark.parametrize(("status", "shown"), [("SUCCEEDED", ["BOOK"]), ("CREATED", ["PDNG"]), ("FAILED", [])])
def test_a_failed_transaction_is_no_entry(read, status, shown):
    """A failed transaction never moved money; a created one has not yet."""
    assert [entry.status for entry in read(Status=status)] == shown


def test_a_status_not_known_yet_is_not_lost(read):
    """A word that the documents do not have is pending or an error, as with the other banks, never dropped unseen."""
    try:
        assert [entry.status for entry in read(Status="ON_HOLD")] == ["PDNG"]
    except UnexpectedAnswer as unexpected:
        assert "transactions" in str(unexpected)  # noqa: PT017 (either outcome is fine)


def test_a_transaction_of_other_wallets_is_no_entry(read):
    """A row that names neither side as this wallet changes nothing here."""
    assert read(CreditedWalletId="wlt_3") == []
    assert read(CreditedWalletId=None, DebitedWalletId=None) == []


def test_a_transfer_within_one_wallet_is_two_entries(read):
    """A wallet that pays itself has both sides, under two keys."""
    entries = read(DebitedWalletId="acc-1")
    assert {entry.credit_debit: entry.amount.minor for entry in entries} == {"CRDT": 1260, "DBIT": 1270}
    assert len({entry.entry_key for entry in entries}) == 2


def test_the_booking_day_is_the_execution_in_luxembourg(read):
    """A transaction is booked when it is executed, by Luxembourg's calendar; without execution by its creation."""
    late = int(datetime(2024, 1, 31, 23, 30, tzinfo=UTC).timestamp())
    assert read(ExecutionDate=late)[0].booking_date == date(2024, 2, 1)
    assert read(ExecutionDate=None, CreationDate=late)[0].booking_date == date(2024, 2, 1)
    assert read(ExecutionDate=late)[0].booked_at == datetime(2024, 1, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize("amount", [12.5, "1260", None, True, [], {}])
def test_an_amount_is_whole_minor_units(read, amount):
    """What is no whole number of minor units is unexpected."""
    with pytest.raises(UnexpectedAnswer):
        read(CreditedFunds={"Currency": "EUR", "Amount": amount})


def test_yen_have_no_decimals(read):
    """12 minor units of yen are 12 yen."""
    (entry,) = read(CreditedFunds={"Currency": "JPY", "Amount": 12})
    assert (entry.amount, entry.exponent) == (Money(12, "JPY"), 0)


def test_a_wallet_is_an_account(caller_of):
    """Users' wallets are the accounts, balances in minor units."""
    wallet = {
        "Id": "wlt_1",
        "Description": "Till",
        "Balance": {"Currency": "EUR", "Amount": 99800},
        "Currency": "EUR",
        "FundsType": "DEFAULT",
    }
    answers = {"/v2.01/cl1/users": [{"Id": "user_1"}], "/v2.01/cl1/users/user_1/wallets": [wallet]}
    (account,) = MangopayApi(caller_of(lambda r: httpx.Response(200, json=answers[r.url.path])), "cl1").accounts()
    assert (account.account_id, account.name, account.currency) == ("wlt_1", "Till", "EUR")
    assert account.balances == (Balance("ITBD", Money(99800, "EUR")),)


def test_a_pending_user_action_is_told_as_such(caller_of):
    """A 401 that asks the wallet's owner to confirm says so, without the link in it, and in full."""
    challenge = {"WWW-Authenticate": "PendingUserAction redirectUrl=https://sca.example/?token=hush"}
    api = MangopayApi(caller_of(lambda r: httpx.Response(401, headers=challenge)), "cl1")
    with pytest.raises(UserActionPending) as pending:
        list(api.accounts())
    assert "hush" not in str(pending.value)
    assert pending.value.remedy == "ask"
    assert {"conn_id", "bank", "operation", "status", "request_id"} <= pending.value.fields.keys()


def test_another_401_is_a_refused_token(caller_of):
    """A 401 of the usual kind, after renewal, is TokenRefused."""
    with pytest.raises(TokenRefused):
        list(MangopayApi(caller_of(lambda r: httpx.Response(401)), "cl1").accounts())


@pytest.mark.parametrize("stated", ["x", "1.5"])
def test_a_malformed_number_of_pages_is_unexpected(caller_of, rows, stated):
    """A header that is no number is an error, not an end."""
    answer = httpx.Response(200, json=[rows("mangopay")], headers={"x-number-of-pages": stated})
    with pytest.raises(UnexpectedAnswer):
        list(
            MangopayApi(caller_of(lambda r: answer), "cl1").statement_entries(
                "acc-1", date(2024, 1, 1), date(2024, 1, 31), True
            )
        )
