"""Payouts as every bank has them: taken in at once, executed a short while later."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from nostro_sandbox.books import FAIL, PDNG, Account, Book, Movement
from nostro_sandbox.wire import JsonObject, WireError

SETTLING_SECONDS = 0.3
_DECIMAL = re.compile(r"(\d{1,30})(?:\.(\d{1,30}))?")


@dataclass(eq=False)
class Payout:
    payout_id: str
    movement: Movement
    request: JsonObject  # the body it was asked for with
    idempotency_key: str | None = None
    more: JsonObject = field(default_factory=dict)  # what only this bank's payouts have
    begun: float = 0.0  # when its execution was asked for, by the true clock

    @property
    def under_way(self) -> bool:
        """Whether a bank with a state between "taken in" and "done" is in it."""
        return time.time() >= self.begun + SETTLING_SECONDS / 2


class Payouts:
    def __init__(self, book: Book, now: Callable[[], float]) -> None:
        self._book = book
        self._now = now
        self._made: dict[str, Payout] = {}
        self._due: list[Payout] = []

    def status(self, payout: Payout) -> str:
        """Its state, for which each bank has words of its own."""
        return payout.movement.status

    def execute(self, payout: Payout) -> bool:
        """Move the money, or find that there is none; False keeps the payout waiting."""
        movement, account = payout.movement, payout.movement.debit
        if account is not None and movement.debit_minor <= account.balance:
            self._book.execute(movement, self.instant())
        else:
            movement.booked, movement.status = self.instant(), FAIL
        return True

    def made(self) -> list[Payout]:
        return list(self._made.values())

    def find(self, payout_id: str) -> Payout | None:
        return self._made.get(payout_id)

    def take(self, payout: Payout) -> None:
        self._made[payout.payout_id] = payout

    def begin(self, payout: Payout) -> None:
        payout.begun = time.time()
        self._due.append(payout)

    def settle(self) -> None:
        """Execute the payouts that are due; nothing runs in the background."""
        now = time.time()
        self._due = [
            payout for payout in self._due if now < payout.begun + SETTLING_SECONDS or not self.execute(payout)
        ]

    def instant(self) -> datetime:
        return datetime.fromtimestamp(int(self._now()), UTC)

    def ordered(self, kind: str, debit: Account, minor: int, **more: Any) -> Movement:
        """The movement of a payout that was just taken in: pending, out of `debit`, and out of the bank by default."""
        outgoing = {"credit": None, "debit_minor": minor, "credit_minor": minor, **more}
        return Movement(
            kind=kind,
            created=self.instant(),
            booked=None,
            status=PDNG,
            currency=debit.currency,
            exponent=debit.exponent,
            debit=debit,
            **outgoing,
        )

    def truth(self) -> list[JsonObject]:
        return [self._truth(payout) for payout in self._made.values()]

    def _truth(self, payout: Payout) -> JsonObject:
        movement = payout.movement
        assert movement.debit is not None
        return {
            "payout_id": payout.payout_id,
            "entry_key": movement.key,
            "account_id": movement.debit.account_id,
            "amount_minor": movement.debit_minor,
            "currency": movement.currency,
            "exponent": movement.exponent,
            "status": self.status(payout),
            "book_status": movement.status,
            "end_to_end_id": movement.end_to_end_id,
            "idempotency_key": payout.idempotency_key,
            "created_at": int(movement.created.timestamp()),
            "request": payout.request,
            **payout.more,
        }


def minor_of_text(value: Any, exponent: int) -> int:
    """Minor units of decimal text; a JSON number is refused."""
    if not isinstance(value, str):
        raise WireError("The amount must be a string")
    return _minor(value, exponent)


def minor_of_number(value: Any, exponent: int) -> int:
    """Minor units of a JSON number, every digit kept; a string is refused."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise WireError("The amount must be a number")
    # An exponent of millions would be written out below.
    return _minor(format(value, "f") if abs(Decimal(value).adjusted()) < 30 else "", exponent)


def _minor(text: str, exponent: int) -> int:
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise WireError("The amount is not a positive decimal")
    fraction = (match[2] or "").rstrip("0")
    if len(fraction) > exponent:
        raise WireError(f"The amount has more than {exponent} decimals")
    minor = int(match[1] + fraction.ljust(exponent, "0"))
    if minor == 0:
        raise WireError("The amount is nothing")
    return minor
