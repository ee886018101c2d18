"""Invents the past weeks of a bank: the same for the same seed and date.

The instants sit on purpose where reading goes wrong: around midnight of the
banks' zones, several in one second, some today.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from nostro_sandbox.books import BOOK, CRDT, DBIT, PDNG, Account, Book, Line, Movement

DAYS = 35
TODAY_AT_LEAST = 2

# Seconds of the UTC day beside which a calendar day begins in one of the banks' zones.
_EDGES = (0, 66599, 66600, 79199, 79200, 82799, 82800, 86399)

# More digits than a binary float holds.
_LARGE = 1_234_567_890_123_456_789

_NAMES = ("Nordwind Handels GmbH", "Zoë & Ångström AB", "株式会社ひかり", 'O\'Brien "Harbour" Ltd', "Łódź Sp. z o.o.")
_TEXTS = ("Invoice 4711", "Rent, 3rd floor; March", "Gehalt / salaire", "Refund №12", "RF18 5390 0754 7034")

NewKey = Callable[[Random, int, Movement], str]


@dataclass(frozen=True)
class Kind:
    """One sort of transaction a bank has, in the bank's own word, and how often it happens."""

    name: str
    flow: str  # CRDT, DBIT, "between" two accounts, "undo" an earlier one
    weight: int
    outcomes: tuple[str, ...] = (BOOK,)
    fee_permille: int = 0
    delays: tuple[int, ...] = (0,)  # seconds from creation to execution


@dataclass(frozen=True)
class History:
    """How one bank's past is made."""

    kinds: Sequence[Kind]
    new_key: NewKey
    value_days: tuple[int | None, ...] = (None,)

    def write(self, book: Book, rng: Random, entries: int, today: date) -> None:
        movements: list[Movement] = []
        for account in book.accounts.values():
            own: list[Movement] = []
            for instant in _instants(rng, entries, today):
                own.append(self._movement(book, account, own, instant, rng))
            movements += own
        movements.sort(key=lambda movement: movement.created)
        lines: list[Line] = []
        for index, movement in enumerate(movements):
            movement.key = self.new_key(rng, index, movement)
            lines += book.add(movement)
        _settle(book, lines, rng)

    def _movement(
        self, book: Book, account: Account, earlier: list[Movement], instant: datetime, rng: Random
    ) -> Movement:
        kind = rng.choices(self.kinds, [kind.weight for kind in self.kinds])[0]
        if kind.flow == "undo":
            candidates = [m for m in earlier[-20:] if m.status == BOOK and m.undoes is None]
            if candidates:
                return self._undo(rng.choice(candidates), instant, rng)
            kind = self.kinds[0]
        status = rng.choice(kind.outcomes)
        gross = rng.randrange(1, 10 ** (account.exponent + rng.randint(1, 5)))
        debit, credit = _sides(book, account, kind, rng)
        delay = timedelta(seconds=rng.choice(kind.delays)) if status == BOOK else timedelta(0)
        return Movement(
            kind=kind.name,
            created=instant - delay,
            booked=None if status == PDNG else instant,
            status=status,
            currency=account.currency,
            exponent=account.exponent,
            debit=debit,
            credit=credit,
            debit_minor=gross,
            credit_minor=gross - gross * kind.fee_permille // 1000,
            end_to_end_id=f"E2E-{rng.getrandbits(64):016x}" if rng.random() < 0.7 else None,
            counterparty=rng.choice(_NAMES),
            text=rng.choice(_TEXTS),
            value_days=rng.choice(self.value_days),
        )

    def _undo(self, original: Movement, instant: datetime, rng: Random) -> Movement:
        return Movement(
            kind=original.kind,
            created=instant,
            booked=instant,
            status=BOOK,
            currency=original.currency,
            exponent=original.exponent,
            debit=original.credit,
            credit=original.debit,
            debit_minor=original.credit_minor,
            credit_minor=original.debit_minor,
            counterparty=original.counterparty,
            text=original.text,
            value_days=rng.choice(self.value_days),
            undoes=original,
        )


def _instants(rng: Random, count: int, today: date) -> list[datetime]:
    midnight = datetime.combine(today, time(), UTC)
    instants: list[datetime] = []
    for index in range(count):
        if index < TODAY_AT_LEAST:
            # Within the first minute: today's entries should be past at nearly any hour.
            instants.append(midnight + timedelta(seconds=rng.randrange(60)))
        elif rng.random() < 0.15:
            instants.append(instants[-1])
        else:
            second = rng.choice(_EDGES) if rng.random() < 0.25 else rng.randrange(86400)
            instants.append(midnight - timedelta(days=rng.randint(1, DAYS)) + timedelta(seconds=second))
    return sorted(instants)


def _sides(book: Book, account: Account, kind: Kind, rng: Random) -> tuple[Account | None, Account | None]:
    if kind.flow == CRDT:
        return None, account
    if kind.flow == DBIT:
        return account, None
    others: list[Account | None] = [
        other for other in book.accounts.values() if other.currency == account.currency and other is not account
    ]
    other = rng.choice(others or [None])
    return (account, other) if rng.random() < 0.5 else (other, account)


def _settle(book: Book, lines: list[Line], rng: Random) -> None:
    """Opening balances that never let an account go below zero, and the balance after each line."""
    booked = [line for line in lines if line.movement.status == BOOK]
    booked.sort(key=lambda line: line.movement.instant)
    running = dict.fromkeys(book.accounts, 0)
    lowest = dict(running)
    for line in booked:
        account_id = line.account.account_id
        running[account_id] += line.signed_minor
        line.balance_after = running[account_id]
        lowest[account_id] = min(lowest[account_id], running[account_id])
    for index, account in enumerate(book.accounts.values()):
        account.opening = -lowest[account.account_id] + rng.randrange(10 ** (account.exponent + 4))
        if index == len(book.accounts) - 1:
            account.opening += _LARGE
        account.balance = account.opening + running[account.account_id]
    for line in booked:
        line.balance_after += line.account.opening
