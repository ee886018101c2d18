from datetime import date

import httpx
import pytest

from nostro.banks.kunacore.api import ASSETS, KunaCoreApi
from nostro.errors import UnexpectedAnswer
from nostro.money import Money
from nostro.values import Balance


@pytest.fixture
def read(entries_of, rows):
    """The entries of one row with changes."""
    return lambda **changes: entries_of("kunacore", rows("kunacore", **changes))


def moved(entries):
    return [(entry.credit_debit, entry.amount.minor, entry.amount.currency) for entry in entries]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "Deposit"}, [("CRDT", 1260, "EUR")]),
        ({"type": "Withdraw"}, [("DBIT", 1260, "EUR")]),
        ({"type": "Transfer", "fromWalletId": "acc-1", "toWalletId": "w2"}, [("DBIT", 1260, "EUR")]),
        ({"type": "Transfer", "fromWalletId": "w2", "toWalletId": "acc-1"}, [("CRDT", 1260, "EUR")]),
        ({"type": "Transfer", "fromWalletId": "w2", "toWalletId": "w3"}, []),
        (
            {"type": "Transfer", "fromWalletId": "acc-1", "toWalletId": "acc-1"},
            [("DBIT", 1260, "EUR"), ("CRDT", 1260, "EUR")],
        ),
    ],
)
def test_the_type_and_the_wallets_tell_the_side(read, change, expected):
    """A deposit credits, a withdrawal debits, a transfer does either by its wallets."""
    assert moved(read(**change)) == expected


TWO = {"sourceAsset": "BTC", "sourceAmount": "0.5", "targetAsset": "EUR", "targetAmount": "20000"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("CryptoExchange", [("DBIT", 50_000_000, "BTC"), ("CRDT", 2_000_000, "EUR")]),
        ("DepositWithExchange", [("CRDT", 2_000_000, "EUR")]),
        ("WithdrawWithExchange", [("DBIT", 50_000_000, "BTC")]),
        ("BuyToSendCrypto", [("DBIT", 50_000_000, "BTC")]),
    ],
)
def test_an_exchange_moves_what_the_wallet_gains_and_loses(read, kind, expected):
    """An exchange within the wallet is two entries under two keys, one across its border is one."""
    entries = read(type=kind, **TWO)
    assert moved(entries) == expected
    assert len({entry.entry_key for entry in entries}) == len(expected)


def test_an_unknown_type_is_unexpected(read):
    """A direction is never guessed."""
    with pytest.raises(UnexpectedAnswer):
        read(type="Airdrop")


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("Completed", ["BOOK"]),
        ("Created", ["PDNG"]),
        ("Processing", ["PDNG"]),
        ("OnHold", ["PDNG"]),
        ("Declined", []),
        ("NewOne", ["PDNG"]),
    ],
)
def test_a_declined_operation_is_no_entry(read, status, shown):
    """A declined operation is no entry; one that is not final is pending."""
    assert [entry.status for entry in read(status=status)] == shown


@pytest.mark.parametrize(
    ("asset", "amount", "minor"),
    [
        ("BTC", "0.00000001", 1),
        ("ETH", "1.000000000000000001", 10**18 + 1),
        ("USDT", "7134.600000", 7134600000),
        ("UAH", "7134.6", 713460),
    ],
)
def test_assets_have_the_decimals_of_their_chain(read, asset, amount, minor):
    """Amounts of crypto assets are exact to their smallest unit."""
    (entry,) = read(asset=asset, amount=amount)
    assert entry.amount == Money(minor, asset)
    assert entry.exponent == ASSETS.get(asset, 2)


@pytest.mark.parametrize(("asset", "amount"), [("SHIB", "1"), ("BTC", "0.000000001"), ("btc", "1")])
def test_an_unknown_asset_or_too_many_decimals_are_unexpected(read, asset, amount):
    """An asset that the table lacks is an error, not a guess."""
    with pytest.raises(UnexpectedAnswer):
        read(asset=asset, amount=amount)


def test_the_booking_day_is_that_of_completion(read):
    """An operation is booked when it completes, else when it was made; days are UTC's."""
    assert read(completedAt="2024-01-31T23:59:59Z")[0].booking_date == date(2024, 1, 31)
    assert read(completedAt=None)[0].booking_date == date(2024, 1, 30)
    assert read(completedAt=None, createdAt="2024-01-31")[0].booking_date == date(2024, 1, 31)


def test_the_fee_is_within_the_amount(read):
    """What the wallet gains or loses is `amount`, not `processedAmount`."""
    assert read(processedAmount="1.00")[0].amount.minor == 1260


@pytest.mark.parametrize("name", ["asset", "currency"])
def test_a_wallet_holds_several_assets(caller_of, name):
    """A wallet with several assets has no currency of its own; its balances tell which, empty ones left out."""
    held = [{name: "BTC", "balance": "0.5"}, {name: "EUR", "balance": "1.00"}, {name: "ETH", "balance": "0"}]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/balance":
            return httpx.Response(200, json={"data": held})
        first = b'"skip":0' in request.read().replace(b" ", b"")
        customers = [{"id": "1", "email": "a@b", "walletId": "w1"}, {"id": "2", "walletId": None}]
        return httpx.Response(200, json={"data": customers if first else []})

    (account,) = KunaCoreApi(caller_of(answer)).accounts()
    assert (account.account_id, account.currency, account.name) == ("w1", "XXX", "a@b")
    assert account.balances == (Balance("ITBD", Money(50_000_000, "BTC")), Balance("ITBD", Money(100, "EUR")))
