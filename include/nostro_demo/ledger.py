"""The demo's own ledger, as an accounting system would export it: the sandbox's books, with two errors per bank.

One row is left out and one amount is off by a minor unit, so that the reconciliation has something to find.
"""

import csv
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

Row = dict[str, Any]

COLUMNS = ("account_id", "booking_date", "credit_debit", "amount_minor", "currency", "reference")


def write(lake: Path, truth: Mapping[str, Any], start: date, end: date, own: Mapping[str, Iterable[Row]]) -> None:
    """One CSV file per bank; `own`: rows by conn_type that we know of ourselves."""
    folder = lake / "ledger"
    folder.mkdir(parents=True, exist_ok=True)
    for conn_type, books in truth.items():
        rows = [_row(entry) for entry in books["entries"] if _is_due(entry, start, end)]
        with (folder / f"{conn_type}_default.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows([*_with_errors(rows), *own.get(conn_type, ())])


def _is_due(entry: Row, start: date, end: date) -> bool:
    return entry["status"] == "BOOK" and start <= date.fromisoformat(entry["booking_date"]) <= end


def _row(entry: Row) -> Row:
    return {**{name: entry.get(name) for name in COLUMNS}, "reference": entry["end_to_end_id"] or entry["entry_key"]}


def _with_errors(rows: list[Row]) -> list[Row]:
    if len(rows) < 2:
        return rows
    forgotten, wrong = len(rows) // 3, len(rows) - 1
    rows[wrong] = {**rows[wrong], "amount_minor": rows[wrong]["amount_minor"] + 1}
    return rows[:forgotten] + rows[forgotten + 1 :]
