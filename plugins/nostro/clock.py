"""The clock, where none is given."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
