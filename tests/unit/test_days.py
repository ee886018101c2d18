from datetime import UTC, date, datetime

import pytest

from nostro.days import chosen_days

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "partition", "first", "last"),
    [
        (None, None, None, "2026-03-09", "2026-03-09"),
        (None, None, "2026-02-28", "2026-02-28", "2026-02-28"),
        ("2026-03-01", "2026-03-03", None, "2026-03-01", "2026-03-03"),
        ("2026-03-07", None, None, "2026-03-07", "2026-03-09"),
        ("2026-03-10", None, None, "2026-03-10", "2026-03-10"),
        (None, "2026-03-05", None, "2026-03-05", "2026-03-05"),
        (None, "2026-03-12", None, "2026-03-09", "2026-03-12"),
        ("2026-03-01", "2026-03-03", "2026-02-28", "2026-03-01", "2026-03-03"),
    ],
)
def test_the_days_are_the_forms_the_partitions_or_yesterday(start, end, partition, first, last):
    """What the form leaves empty is filled in so that there is always a day."""
    days = chosen_days(start, end, partition, NOW)
    assert (days[0], days[-1]) == (date.fromisoformat(first), date.fromisoformat(last))
    assert len(days) == (days[-1] - days[0]).days + 1


def test_a_range_the_wrong_way_round_is_refused():
    """The message names both days and what to do."""
    with pytest.raises(ValueError, match="start_date 2026-03-05 is after end_date 2026-03-04; swap them"):
        chosen_days("2026-03-05", "2026-03-04", None, NOW)
