"""The booking days that a run of a DAG is about."""

from datetime import UTC, date, datetime, timedelta


def chosen_days(start: str | None, end: str | None, partition: str | None, now: datetime | None = None) -> list[date]:
    """The days from `start` to `end` (2026-01-31, both included); else the partition's day; else yesterday.

    A start alone goes on until yesterday, or is the one day if it is later. Raises ValueError for a range the wrong way
    round and for what is no day.
    """
    yesterday = (now or datetime.now(UTC)).date() - timedelta(days=1)
    default = date.fromisoformat(partition) if partition else yesterday
    first = date.fromisoformat(start) if start else min(default, date.fromisoformat(end)) if end else default
    last = date.fromisoformat(end) if end else max(first, default)
    if first > last:
        raise ValueError(f"start_date {first} is after end_date {last}; swap them")
    return days_between(first, last)


def days_between(start: date, end: date) -> list[date]:
    """The days from `start` to `end`, both included."""
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]
