from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from nostro.days import days_between
from nostro.lake import SCHEMA, Lake
from nostro.money import Money
from nostro.values import StatementEntry

DAYS = [date(2026, 1, 30), date(2026, 1, 31)]


def entry(key: str, minor: int = 1260, day: date = DAYS[0]) -> StatementEntry:
    return StatementEntry(
        entry_key=key,
        account_id="a/1",
        booking_date=day,
        value_date=None,
        credit_debit="CRDT",
        amount=Money(minor, "EUR"),
        exponent=2,
        status="BOOK",
        booked_at=datetime(2026, 1, 30, 23, tzinfo=UTC),
    )


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(f"file://{tmp_path}")


def test_entries_come_back_as_they_went(lake):
    """What is written for a day is read for that day, amounts in whole minor units."""
    lake.replace_statement("mangopay", "c1", "a/1", DAYS, [entry("k1", 10**38 - 1), entry("k2", day=DAYS[1])])
    (first,) = lake.entries("c1", DAYS[:1])
    assert (first["entry_key"], first["amount_minor"], first["currency"]) == ("k1", Decimal(10**38 - 1), "EUR")
    assert first["booked_at"] == datetime(2026, 1, 30, 23, tzinfo=UTC)
    assert [row["entry_key"] for row in lake.entries("c1", DAYS)] == ["k1", "k2"]


def test_a_second_run_leaves_what_one_run_would_have(lake, tmp_path):
    """A day's file is replaced whole, also by an empty one, and its bytes do not depend on the bank's order."""
    lake.replace_statement("mangopay", "c1", "a/1", DAYS, [entry("k1"), entry("k2"), entry("k3", day=DAYS[1])])
    files = sorted(tmp_path.rglob("*.parquet"))
    before = files[0].read_bytes()
    count = lake.replace_statement("mangopay", "c1", "a/1", DAYS, [entry("k2"), entry("k1")])
    assert count == 2
    assert files[0].read_bytes() == before
    assert sorted(tmp_path.rglob("*.parquet")) == files
    assert [row["entry_key"] for row in lake.entries("c1", DAYS)] == ["k1", "k2"]


def test_a_day_without_entries_has_an_empty_file(lake, tmp_path):
    """An empty day is told from a day that was never pulled, and has the schema all the same."""
    lake.replace_statement("mangopay", "c1", "a/1", DAYS, [])
    files = sorted(tmp_path.rglob("*.parquet"))
    assert [path.parent.name for path in files] == ["day=2026-01-30", "day=2026-01-31"]
    assert pq.ParquetFile(files[0]).schema_arrow.equals(SCHEMA)


def test_one_connections_entries_are_not_anothers(lake):
    """Names that begin alike, or hold a star, do not reach into each other."""
    lake.replace_statement("mangopay", "c1", "a/1", DAYS, [entry("k1")])
    lake.replace_statement("mangopay", "c11", "a/1", DAYS, [entry("k2")])
    assert [row["entry_key"] for row in lake.entries("c1", DAYS)] == ["k1"]
    assert list(lake.entries("c*", DAYS)) == []


def test_an_account_cannot_leave_its_place(lake, tmp_path):
    """An account id with slashes and dots is a name, not a way."""
    lake.replace_statement("mangopay", "c1", "../../x", DAYS[:1], [entry("k1")])
    (path,) = tmp_path.rglob("*.parquet")
    assert path.relative_to(tmp_path).parts[:3] == ("statements", "bank=mangopay", "connection=c1")


def test_amounts_are_decimal_38_0():
    """Amounts are whole minor units in Parquet, never floats."""
    assert str(SCHEMA.field("amount_minor").type) == "decimal128(38, 0)"
    assert not [f.name for f in SCHEMA if "float" in str(f.type) or "double" in str(f.type)]


def test_a_ledger_that_is_not_there_is_empty(lake, tmp_path):
    """Without a ledger nothing matches; with one its rows come by the column's names."""
    assert list(lake.ledger("c1")) == []
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "c1.csv").write_text("account_id,amount_minor\na1,5\n")
    assert list(lake.ledger("c1")) == [{"account_id": "a1", "amount_minor": "5"}]


def test_days_between_counts_both_ends():
    """A range of days has its first and its last."""
    assert days_between(DAYS[0], DAYS[1]) == DAYS
    assert days_between(DAYS[0], DAYS[0]) == DAYS[:1]
