"""The booking days that a run of a DAG is about."""

from datetime import UTC, date, datetime, timedelta

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException


def chosen_days(start: str | None, end: str | None, partition: str | None, now: datetime | None = None) -> list[date]:
    """The days from `start` to `end` (2026-01-31, both included); else the partition's day; else yesterday.

    A start alone goes on until yesterday, or is the one day if it is later. Raises ValueError for a range the wrong way
    round and for what is no day.
    """
    yesterday = (now or datetime.now(UTC)).date() - timedelta(days=1)
    first = last = date.fromisoformat(partition) if partition else yesterday
    if start:
        first = date.fromisoformat(start)
        last = max(first, last)
    if end:
        last = date.fromisoformat(end)
        first = first if start else min(first, last)
    if first > last:
        raise ValueError(f"start_date {first} is after end_date {last}; swap them")
    return days_between(first, last)


def days_of_run() -> list[date]:
    """The days that the task's run is about, from its form and its partition. A wrong range fails the task for good."""
    context = get_current_context()
    params = context["params"]
    try:
        return chosen_days(params["start_date"], params["end_date"], context["dag_run"].partition_key)
    except ValueError as error:
        raise AirflowFailException(str(error)) from None


def days_between(start: date, end: date) -> list[date]:
    """The days from `start` to `end`, both included."""
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]
