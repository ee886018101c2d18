"""Reconciliation: ledger lines against statement entries, by exact reference. Pure: rows in, matches and breaks out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

BreakCode = Literal["MISSING_AT_BANK", "MISSING_IN_LEDGER", "AMOUNT_DIFF", "NOT_PULLED"]
_COLUMNS = ("account_id", "booking_date", "credit_debit", "currency", "reference")
_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of either side: ours (ledger) or theirs (statement). `minor` units of `currency`, never negative."""

    account_id: str
    booking_date: str
    credit_debit: str
    minor: int
    currency: str
    reference: str

    @property
    def key(self) -> _Key:
        return self.account_id, self.credit_debit, self.currency, self.reference


@dataclass(frozen=True, slots=True)
class Break:
    """A disagreement; the side that has no line is None."""

    code: BreakCode
    ledger: Line | None
    statement: Line | None

    def as_row(self) -> dict[str, Any]:
        line = self.ledger or self.statement
        assert line is not None
        return {
            "code": self.code,
            "account_id": line.account_id,
            "booking_date": line.booking_date,
            "reference": line.reference,
            # As text: an 18-digit asset's minor units are beyond what XCom takes for a number.
            "ledger_minor": str(self.ledger.minor) if self.ledger else None,
            "statement_minor": str(self.statement.minor) if self.statement else None,
            "currency": line.currency,
        }


@dataclass(frozen=True, slots=True)
class Reconciliation:
    matches: list[tuple[Line, Line]]
    breaks: list[Break]


def match(ledger: Iterable[Line], statement: Iterable[Line]) -> Reconciliation:
    """Pair lines of equal account, direction, currency and reference, each at most once.

    Equal amounts go first; what is left over under one reference differs in amount; the rest is missing on one side.
    The outcome does not depend on the order of the lines.
    """
    ours, theirs = _by_key(ledger), _by_key(statement)
    matches: list[tuple[Line, Line]] = []
    breaks: list[Break] = []
    for key in sorted(ours.keys() | theirs.keys()):
        mine, yours = ours.get(key, []), theirs.get(key, [])
        for line in list(mine):
            twin = next((other for other in yours if other.minor == line.minor), None)
            if twin:
                matches.append((line, twin))
                mine.remove(line)
                yours.remove(twin)
        paired = min(len(mine), len(yours))
        breaks += [Break("AMOUNT_DIFF", a, b) for a, b in zip(mine[:paired], yours[:paired], strict=True)]
        breaks += [Break("MISSING_AT_BANK", line, None) for line in mine[paired:]]
        breaks += [Break("MISSING_IN_LEDGER", None, line) for line in yours[paired:]]
    return Reconciliation(matches, breaks)


def not_pulled(ledger: Iterable[Line]) -> list[Break]:
    """Breaks for lines of days of which there is no statement: nobody knows what the bank has."""
    return [Break("NOT_PULLED", line, None) for line in ledger]


def ledger_line(row: Mapping[str, str | None]) -> Line:
    """A line of a ledger CSV. Raises ValueError, which names the column, for a row that cannot be read."""
    for name in ("amount_minor", *_COLUMNS):
        if name not in row:
            raise ValueError(f"the ledger has no column {name!r}")
        if row[name] is None:
            raise ValueError(f"a ledger row ends before its column {name!r}")
    texts = [row[name] or "" for name in _COLUMNS]
    try:
        minor = int(row["amount_minor"] or "")
    except ValueError:
        raise ValueError("a ledger row's amount_minor is not a whole number of minor units") from None
    account_id, booking_date, credit_debit, currency, reference = texts
    return Line(account_id, booking_date, credit_debit, minor, currency, reference)


def statement_line(row: Mapping[str, Any]) -> Line:
    """A line of the lake's statements. Where the payer gave no reference the bank's own identity serves."""
    return Line(
        row["account_id"],
        str(row["booking_date"]),
        row["credit_debit"],
        int(row["amount_minor"]),
        row["currency"],
        row["end_to_end_id"] or row["entry_key"],
    )


def _by_key(lines: Iterable[Line]) -> dict[_Key, list[Line]]:
    grouped: defaultdict[_Key, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line.key].append(line)
    for group in grouped.values():
        group.sort(key=lambda line: (line.minor, line.booking_date))
    return grouped
