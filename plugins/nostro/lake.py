"""The lake: statements as typed Parquet, ledgers in, reports out, on any storage that ObjectStoragePath reaches."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from airflow.sdk import ObjectStoragePath

from nostro.values import StatementEntry

# StatementEntry's fields; `amount` becomes the two columns that Money is made of.
SCHEMA = pa.schema(
    [
        pa.field("entry_key", pa.string(), nullable=False),
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("booking_date", pa.date32(), nullable=False),
        pa.field("value_date", pa.date32()),
        pa.field("credit_debit", pa.string(), nullable=False),
        pa.field("amount_minor", pa.decimal128(38, 0), nullable=False),
        pa.field("currency", pa.string(), nullable=False),
        pa.field("exponent", pa.int8(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("end_to_end_id", pa.string()),
        pa.field("booked_at", pa.timestamp("us", "UTC")),
        pa.field("bank_transaction_code", pa.string(), nullable=False),
        pa.field("counterparty_name", pa.string()),
        pa.field("counterparty_account", pa.string()),
        pa.field("remittance_information", pa.string()),
    ]
)


class Lake:
    """`url` is the lake's root, such as file:///data/lake or s3://aws_default@bucket/nostro."""

    def __init__(self, url: str) -> None:
        self.root = ObjectStoragePath(url)

    def replace_statement(
        self, bank: str, conn_id: str, account_id: str, days: list[date], entries: Iterable[StatementEntry]
    ) -> int:
        """Write one file per booking day, also for a day without entries; gives the number of entries.

        Each file is replaced whole, so that a second run leaves what one run would have. A process that dies here
        leaves some days of the old run and some of the new one, each complete.
        """
        by_day: dict[date, list[StatementEntry]] = {day: [] for day in days}
        count = 0
        for entry in entries:
            by_day[entry.booking_date].append(entry)
            count += 1
        for day, of_day in by_day.items():
            of_day.sort(key=lambda entry: entry.entry_key)  # the bank's order may differ from run to run
            data = io.BytesIO()
            pq.write_table(_table(of_day), data, compression="zstd")
            self.write(self._account(bank, conn_id, account_id) / f"day={day}" / "entries.parquet", data.getvalue())
        return count

    def entries(self, conn_id: str, days: list[date]) -> Iterator[dict[str, Any]]:
        """The rows of SCHEMA that a connection's statements hold for `days`."""
        for path in self._files(conn_id, days):
            yield from pq.read_table(io.BytesIO(path.read_bytes()), schema=SCHEMA).to_pylist()

    def pulled(self, conn_id: str, days: list[date]) -> set[date]:
        """Those of `days` for which the lake has a statement of a connection, be it an empty one."""
        return {date.fromisoformat(path.parent.name.removeprefix("day=")) for path in self._files(conn_id, days)}

    def ledger(self, conn_id: str) -> Iterator[dict[str, str]]:
        """The rows of our own books for a connection: `ledger/<conn_id>.csv`. None is fine: then nothing matches."""
        path = self.root / "ledger" / f"{conn_id}.csv"
        if path.exists():
            yield from csv.DictReader(path.read_text(encoding="utf-8").splitlines())

    def write(self, path: ObjectStoragePath, data: bytes) -> ObjectStoragePath:
        """Replace a file whole: fsspec's transaction shows the new content at the end, or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.fs.transaction, path.fs.open(path.path, "wb") as file:
            file.write(data)
        return path

    def _account(self, bank: str, conn_id: str, account_id: str) -> ObjectStoragePath:
        names = {"bank": bank, "connection": conn_id, "account": account_id}
        return self.root.joinpath("statements", *(f"{name}={quote(value, safe='')}" for name, value in names.items()))

    def _files(self, conn_id: str, days: list[date]) -> Iterator[ObjectStoragePath]:
        pattern = f"bank=*/connection={quote(conn_id, safe='')}/account=*"
        statements = self.root / "statements"
        accounts = sorted(statements.glob(pattern), key=str) if statements.exists() else []
        for account in accounts:
            for day in days:
                path = account / f"day={day}" / "entries.parquet"
                if path.exists():
                    yield path


def _table(entries: list[StatementEntry]) -> pa.Table:
    return pa.Table.from_pylist([_row(entry) for entry in entries], schema=SCHEMA)


def _row(entry: StatementEntry) -> Mapping[str, Any]:
    row = {f.name: getattr(entry, f.name) for f in fields(entry) if f.name != "amount"}
    return {**row, "amount_minor": Decimal(entry.amount.minor), "currency": entry.amount.currency}
