"""The books of a bank: accounts, movements, and what each movement does to each account.

Amounts are integer minor units throughout. A movement touches one account of
ours or two; each side is a line of that account.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

CRDT, DBIT = "CRDT", "DBIT"
BOOK, PDNG, FAIL = "BOOK", "PDNG", "FAIL"


@dataclass(slots=True)
class Account:
    account_id: str
    currency: str
    exponent: int
    owner: str  # the customer it is found under
    details: dict[str, Any] = field(default_factory=dict)
    opening: int = 0
    balance: int = 0


@dataclass(slots=True, eq=False)
class Movement:
    """One transaction of the bank. ``booked`` is the instant of execution, None as long as there is none."""

    kind: str
    created: datetime
    booked: datetime | None
    status: str
    currency: str
    exponent: int
    debit: Account | None
    credit: Account | None
    debit_minor: int
    credit_minor: int
    key: str = ""
    end_to_end_id: str | None = None
    counterparty: str = ""
    text: str = ""
    value_days: int | None = None  # from booking to value; None where the bank states no value date
    undoes: "Movement | None" = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def instant(self) -> datetime:
        return self.booked or self.created


@dataclass(slots=True)
class Line:
    """One side of a movement: the change of one account."""

    account: Account
    movement: Movement
    credit_debit: str
    amount_minor: int
    balance_after: int = 0

    @property
    def signed_minor(self) -> int:
        return self.amount_minor if self.credit_debit == CRDT else -self.amount_minor


class Book:
    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.accounts: dict[str, Account] = {}
        self.movements: dict[str, Movement] = {}
        self._lines: dict[str, list[Line]] = {}  # by account, oldest creation first

    def open(self, account: Account) -> None:
        self.accounts[account.account_id] = account
        self._lines[account.account_id] = []

    def lines(self, account_id: str) -> list[Line]:
        return self._lines[account_id]

    def add(self, movement: Movement) -> list[Line]:
        """Take a movement in; it must not be older than those already there."""
        self.movements[movement.key] = movement
        lines = []
        for account, side, amount in (
            (movement.debit, DBIT, movement.debit_minor),
            (movement.credit, CRDT, movement.credit_minor),
        ):
            if account is not None:
                lines.append(Line(account, movement, side, amount))
                self._lines[account.account_id].append(lines[-1])
        return lines

    def execute(self, movement: Movement, booked: datetime) -> None:
        """Move the money of a movement that was pending so far."""
        movement.booked, movement.status = booked, BOOK
        for account in (movement.debit, movement.credit):
            if account is not None:
                line = next(line for line in reversed(self._lines[account.account_id]) if line.movement is movement)
                account.balance += line.signed_minor
                line.balance_after = account.balance

    def booking_date(self, movement: Movement) -> date:
        return movement.instant.astimezone(self.zone).date()

    def value_date(self, movement: Movement) -> date | None:
        if movement.value_days is None:
            return None
        return self.booking_date(movement) + timedelta(days=movement.value_days)

    def booked_between(self, account_id: str, start: date | None, end: date | None) -> list[Line]:
        """The lines booked from one day to another, both included, in the bank's own days."""
        since = self._midnight(start or date.min)
        until = self._midnight(end + timedelta(days=1) if end and end < date.max else date.max)
        return [line for line in self._lines[account_id] if since <= line.movement.instant < until]

    def _midnight(self, day: date) -> datetime:
        # The outermost days have no instant in zones off UTC.
        day = min(max(day, date(1900, 1, 1)), date(9000, 1, 1))
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def certain_value_date(self, movement: Movement) -> date:
        """The value date where the bank always states one."""
        return self.value_date(movement) or self.booking_date(movement)

    def _entries(self) -> Iterator[dict[str, Any]]:
        for account_id, lines in self._lines.items():
            for line in lines:
                movement = line.movement
                if movement.status == FAIL:
                    continue
                value_date = self.value_date(movement)
                yield {
                    "entry_key": movement.key,
                    "account_id": account_id,
                    "booking_date": self.booking_date(movement).isoformat(),
                    "value_date": value_date.isoformat() if value_date else None,
                    "credit_debit": line.credit_debit,
                    "amount_minor": line.amount_minor,
                    "currency": line.account.currency,
                    "exponent": line.account.exponent,
                    "status": movement.status,
                    "end_to_end_id": movement.end_to_end_id,
                }

    def truth(self) -> dict[str, Any]:
        accounts = [
            {
                "account_id": account.account_id,
                "currency": account.currency,
                "exponent": account.exponent,
                "balance_minor": account.balance,
                "opening_minor": account.opening,
                "owner": account.owner,
            }
            for account in self.accounts.values()
        ]
        return {"accounts": accounts, "entries": list(self._entries())}
