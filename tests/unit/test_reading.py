from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nostro.errors import UnexpectedAnswer
from nostro.money import exponent
from nostro.reading import (
    day_in,
    distinct,
    documented,
    instant,
    midnight,
    optional_text,
    rows_of,
    text,
    until_empty,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1727081808, datetime(2024, 9, 23, 8, 56, 48, tzinfo=UTC)),
        (Decimal("1727081808.9"), datetime(2024, 9, 23, 8, 56, 48, tzinfo=UTC)),
        ("2024-01-31T23:30:00Z", datetime(2024, 1, 31, 23, 30, tzinfo=UTC)),
        ("2024-01-31T23:30:00.123Z", datetime(2024, 1, 31, 23, 30, 0, 123000, tzinfo=UTC)),
        ("2024-02-01T05:00:00+05:30", datetime(2024, 1, 31, 23, 30, tzinfo=UTC)),
        ("2024-01-31T23:30:00", datetime(2024, 1, 31, 23, 30, tzinfo=UTC)),
        ("2024-01-31T23:30:00.1234567+00:00", datetime(2024, 1, 31, 23, 30, 0, 123456, tzinfo=UTC)),
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_the_banks_forms(value, moment):
    """Unix seconds and ISO 8601, with zone, without zone and as a bare date, give the same kind of instant."""
    assert instant(value) == moment


@pytest.mark.parametrize(
    "value", ["now", "12:30", "10:00:00", "P1D", "2024-13-01", "2024-02-30", "soon", "", True, None]
)
def test_what_is_no_time_is_none_of_today_either(value):
    """A word, a time without a day or a malformed date is refused, and never becomes today."""
    with pytest.raises((TypeError, ValueError)):
        instant(value)


@given(value=JSON | st.text("0123456789-:TZ+.W ", max_size=25))
@example(value=1727081808 * 10**9)
@example(value=-(10**17))
@example(value=2**62)
def test_any_value_is_an_instant_or_an_unexpected_answer(caller_of, value):
    """Whatever stands where a time should, a row gives an instant or UnexpectedAnswer."""
    try:
        with documented(caller_of({}), "/v1/x"):
            assert day_in("Asia/Kolkata", instant(value)) is not None
    except UnexpectedAnswer as unexpected:
        assert "/v1/x" in str(unexpected)  # noqa: PT017 (either outcome is fine)


@pytest.mark.parametrize(
    ("zone", "day"),
    [("UTC", date(2024, 1, 31)), ("Europe/Luxembourg", date(2024, 2, 1)), ("Asia/Kolkata", date(2024, 2, 1))],
)
def test_a_day_is_the_banks_own(zone, day):
    """The booking day of an instant is the calendar's in the bank's zone."""
    assert day_in(zone, datetime(2024, 1, 31, 23, 30, tzinfo=UTC)) == day


@pytest.mark.parametrize("day", [date(2024, 3, 31), date(2024, 10, 27), date(2024, 1, 1)])
def test_a_day_begins_where_it_begins(day):
    """Midnight is the day's first instant, also on the days when clocks change."""
    begin = midnight("Europe/Luxembourg", day)
    assert day_in("Europe/Luxembourg", begin) == day
    assert begin.utcoffset() == datetime(day.year, day.month, day.day).astimezone(begin.tzinfo).utcoffset()


def test_a_missing_field_is_named_and_no_value_quoted(caller_of):
    """An answer off the documents is told by the field's name; what the bank wrote stays out of the message."""
    row = {"Id": ["hush"]}
    for read in (lambda: text(row, "Amount"), lambda: text(row, "Id"), lambda: exponent("<hush>")):
        with pytest.raises(UnexpectedAnswer) as unexpected, documented(caller_of({}), "/v1/x"):
            read()
        assert "hush" not in str(unexpected.value)
    with pytest.raises(UnexpectedAnswer, match="without 'Amount'"), documented(caller_of({}), "/v1/x"):
        text(row, "Amount")


@pytest.mark.parametrize("value", [None, {}, "x", 5, [1], [[]], [{}, None]])
def test_rows_are_a_list_of_objects(value):
    """Anything else than a list of objects is no page."""
    with pytest.raises(TypeError):
        rows_of(value)


def test_an_optional_text_is_text_or_none():
    """Empty text and other types mean that nothing is said."""
    assert [optional_text(value) for value in ("x", "", None, 5, [], {})] == ["x", None, None, None, None, None]


def test_rows_that_come_again_are_dropped():
    """A row pushed onto the next page by a new one counts once."""
    assert list(distinct("abcabd", key=str)) == ["a", "b", "c", "d"]


def test_pages_end_with_an_empty_one(caller_of):
    """A short page is not the last one; an empty one is."""
    pages = {0: [{"id": 1}, {"id": 2}], 2: [{"id": 3}], 3: [{"id": 4}], 4: []}
    read = until_empty(caller_of({}), "/x", lambda number, skipped: pages[skipped], lambda: 3)
    assert [row["id"] for row in read] == [1, 2, 3, 4]


def test_a_list_without_pages_is_read_once(caller_of):
    """A bank that gives all it has, whichever page is asked for, gives less than a page."""
    found = until_empty(caller_of({}), "/x", lambda number, skipped: [{"id": 1}], lambda: 2)
    assert list(found) == [{"id": 1}]


def test_a_page_that_comes_again_does_not_go_on_for_ever(caller_of):
    """A bank that ignores the page asked for ends in UnexpectedAnswer."""
    with pytest.raises(UnexpectedAnswer, match="same page"):
        list(until_empty(caller_of({}), "/x", lambda number, skipped: [{"id": 1}], lambda: 1))
