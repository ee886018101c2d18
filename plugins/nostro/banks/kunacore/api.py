"""Kuna Core's customer wallets and the operations on them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from nostro.call import Caller
from nostro.money import Money, exponent, from_decimal
from nostro.reading import (
    EXECUTION_HORIZON,
    day_in,
    distinct,
    documented,
    instant,
    midnight,
    optional_text,
    present,
    rows_of,
    text,
    until_empty,
    within,
)
from nostro.values import Account, Balance, CreditDebit, EntryStatus, StatementEntry

ZONE = "UTC"  # "a bare date is midnight UTC"
# Decimals of the assets that ISO 4217 does not know: each chain's own smallest unit.
ASSETS: Mapping[str, int] = MappingProxyType(
    {
        "ADA": 6,
        "BCH": 8,
        "BNB": 18,
        "BTC": 8,
        "DAI": 18,
        "DASH": 8,
        "DOGE": 8,
        "DOT": 10,
        "ETH": 18,
        "LTC": 8,
        "MATIC": 18,
        "SOL": 9,
        "TON": 9,
        "TRX": 6,
        "USDC": 6,
        "USDT": 6,
        "XLM": 7,
        "XRP": 6,
    }
)
_MONEY = ("EUR", "GBP", "PLN", "UAH", "USD")
_CUSTOMERS, _OPERATIONS, _BALANCE = "/v2/customer/find", "/v2/operation/find", "/v2/balance"
_PAGE = 100
_STATUS: Mapping[str, EntryStatus | None] = {
    "Created": "PDNG",
    "Processing": "PDNG",
    "OnHold": "PDNG",
    "Completed": "BOOK",
    "Declined": None,
}
Move = tuple[CreditDebit, str, Any]


@dataclass(frozen=True, slots=True)
class KunaCoreApi:
    caller: Caller

    def probe(self) -> None:
        self.caller.search(_CUSTOMERS, {"take": 1, "skip": 0})

    def accounts(self) -> Iterator[Account]:
        """The customers' wallets."""
        customers = until_empty(self.caller, _CUSTOMERS, self._customers, lambda: _PAGE)
        for customer in distinct(customers, lambda row: str(row.get("walletId"))):
            if customer.get("walletId"):  # a customer who was not given one yet
                yield self._account(customer)

    def statement_entries(
        self, account_id: str, start: date, end: date, include_pending: bool
    ) -> Iterator[StatementEntry]:
        body = {
            "walletId": account_id,
            "dateFrom": (midnight(ZONE, start) - EXECUTION_HORIZON).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "dateTo": midnight(ZONE, end + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        return within(self._entries(account_id, body), start, end, include_pending)

    def _customers(self, number: int, skip: int) -> list[dict[str, Any]]:
        return self._data(_CUSTOMERS, {"take": _PAGE, "skip": skip})

    def _account(self, customer: dict[str, Any]) -> Account:
        with documented(self.caller, _CUSTOMERS):
            wallet_id = text(customer, "walletId")
        rows = self._data(_BALANCE, {"assets": [*ASSETS, *_MONEY], "walletId": wallet_id})
        with documented(self.caller, _BALANCE):
            held = [Balance("ITBD", _balance(row)) for row in rows if _known(row) or not _is_nought(row)]
        filled = [balance for balance in held if balance.amount.minor] or held
        currencies = {balance.amount.currency for balance in filled}
        return Account(
            account_id=wallet_id,
            currency=currencies.pop() if len(currencies) == 1 else "XXX",
            name=optional_text(customer.get("email")) or "",
            balances=tuple(filled),
        )

    def _entries(self, account_id: str, body: dict[str, str]) -> Iterator[StatementEntry]:
        def page(number: int, skip: int) -> list[dict[str, Any]]:
            return self._data(_OPERATIONS, body, {"skip": skip, "take": _PAGE})

        for row in until_empty(self.caller, _OPERATIONS, page, lambda: _PAGE):
            with documented(self.caller, _OPERATIONS):
                entries = _entries_of(row, account_id)
            yield from entries

    def _data(self, path: str, body: dict[str, Any], params: dict[str, int] | None = None) -> list[dict[str, Any]]:
        answer = self.caller.search(path, body, params)
        with documented(self.caller, path):
            return [] if answer["data"] is None else rows_of(answer["data"])


def _balance(row: dict[str, Any]) -> Money:
    # The bank's own page says `asset`, its sister products say `currency`.
    asset = optional_text(row.get("asset")) or text(row, "currency")
    return from_decimal(present(row, "balance"), asset, ASSETS)


def _known(row: dict[str, Any]) -> bool:
    return row.get("asset") in ASSETS or row.get("currency") in _MONEY or row.get("asset") in _MONEY


def _is_nought(row: dict[str, Any]) -> bool:
    """An asset that nobody knows is an error, but not where the wallet has none of it."""
    return Decimal(present(row, "balance")) == 0


def _entries_of(row: dict[str, Any], account_id: str) -> list[StatementEntry]:
    status = _STATUS.get(row["status"], "PDNG")  # a status not known yet is not final
    if status is None:
        return []
    moves = _moves(row, account_id)
    executed = instant(row.get("completedAt") or row["createdAt"])
    return [
        StatementEntry(
            entry_key=text(row, "id") + (f"-{side}" if len(moves) > 1 else ""),
            account_id=account_id,
            booking_date=day_in(ZONE, executed),
            value_date=None,
            credit_debit=side,
            amount=Money(abs(from_decimal(amount, asset, ASSETS).minor), asset),
            exponent=exponent(asset, ASSETS),
            status=status,
            end_to_end_id=optional_text(row.get("externalId")),
            booked_at=executed,
            bank_transaction_code=text(row, "type"),
        )
        for side, asset, amount in moves
    ]


def _moves(row: dict[str, Any], account_id: str) -> list[Move]:
    """What an operation does to the wallet: direction, asset, amount.

    `amount` is what the wallet gains or loses. `processedAmount` is not: it lacks the fee of a withdrawal, and holds
    that of a deposit.
    """
    kind = text(row, "type")
    if kind == "Deposit":
        return [("CRDT", *_amount(row, "target"))]
    if kind == "Withdraw":
        return [("DBIT", *_amount(row, "source"))]
    if kind == "Transfer":
        moves: list[Move] = []
        if row.get("fromWalletId") == account_id:
            moves.append(("DBIT", *_amount(row)))
        if row.get("toWalletId") == account_id:
            moves.append(("CRDT", *_amount(row)))
        return moves
    if kind == "CryptoExchange":
        return [("DBIT", *_of(row, "source")), ("CRDT", *_of(row, "target"))]
    if kind == "DepositWithExchange":
        return [("CRDT", *_amount(row, "target"))]
    if kind in ("WithdrawWithExchange", "BuyToSendCrypto"):
        return [("DBIT", *_amount(row, "source"))]
    raise ValueError("an operation of unknown type")


def _amount(row: dict[str, Any], side: str = "") -> tuple[str, Any]:
    """Asset and amount of the operation, or of its `source` or `target` side where that one alone is told."""
    own = row.get("amount") is not None and row.get("asset") is not None
    if side and (not own or row["type"] not in ("Deposit", "Withdraw")) and row.get(f"{side}Amount") is not None:
        return _of(row, side)
    return text(row, "asset"), present(row, "amount")


def _of(row: dict[str, Any], side: str) -> tuple[str, Any]:
    return text(row, f"{side}Asset"), present(row, f"{side}Amount")
