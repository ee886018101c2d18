"""Reading rows off the wire: what several banks share, each function one way in which an answer may be off."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import pendulum

from nostro.call import Caller
from nostro.money import AmountError
from nostro.values import CreditDebit, StatementEntry

T = TypeVar("T")

# MANGOPAY and Kuna Core filter by creation, but a payment is booked when it is executed: a bank wire that was announced
# may arrive a month later (MANGOPAY lets it expire then).
EXECUTION_HORIZON = timedelta(days=35)

# Rows that came before may come again when new ones push the pages on; they do so within a page or two.
_REMEMBERED = 10_000


@contextmanager
def documented(caller: Caller, path: str) -> Iterator[None]:
    """Turn a row that does not fit its documents into UnexpectedAnswer, which names the field but quotes no value."""
    try:
        yield
    except AmountError as error:
        raise caller.unexpected(path, f"a row with {error}") from None
    except KeyError as error:
        raise caller.unexpected(path, f"a row without '{error.args[0]}'") from None
    except (TypeError, ValueError, AttributeError, IndexError, OSError, OverflowError):
        raise caller.unexpected(path, "a row of another shape than documented") from None


def rows_of(value: Any) -> list[dict[str, Any]]:
    """`value` as a list of objects. Raises TypeError for anything else."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise TypeError("not a list of objects")
    return value


def distinct(items: Iterable[T], key: Callable[[T], str]) -> Iterator[T]:
    """`items` less those whose key came shortly before, in constant memory."""
    seen: OrderedDict[str, None] = OrderedDict()
    for item in items:
        name = key(item)
        if name not in seen:
            seen[name] = None
            if len(seen) > _REMEMBERED:
                seen.popitem(last=False)
            yield item


def until_empty(
    caller: Caller, path: str, page: Callable[[int, int], list[dict[str, Any]]], size: Callable[[], int]
) -> Iterator[dict[str, Any]]:
    """The rows of all pages, where nothing marks the last one, so that only an empty page does.

    A short page proves nothing: the bank may give fewer rows than it is asked for. `page` is given the page's number,
    from 0, and how many rows came before; `size` tells how many rows make a full page. A list without pages comes again
    as it was, shorter than a page, and is over; any other page that comes again would go on for ever, and raises
    UnexpectedAnswer.
    """
    number, skipped, last = 0, 0, None
    while rows := page(number, skipped):
        if rows == last:
            if number == 1 and len(rows) < size():
                return
            raise caller.unexpected(path, "the same page again")
        yield from rows
        number, skipped, last = number + 1, skipped + len(rows), rows


def within(
    entries: Iterable[StatementEntry], start: date, end: date, include_pending: bool
) -> Iterator[StatementEntry]:
    """The entries booked from `start` to `end`, each once; pending ones only if asked for."""
    for entry in distinct(entries, lambda entry: entry.entry_key):
        if start <= entry.booking_date <= end and (include_pending or entry.status != "PDNG"):
            yield entry


def text(row: dict[str, Any], name: str) -> str:
    """A required text or number. Raises KeyError if it is missing, null or empty."""
    value = present(row, name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(name)
    return str(value)


def segment(identifier: str) -> str:
    """An identifier as one segment of a path. Raises ValueError for one that would lead elsewhere."""
    if identifier in ("", ".", ".."):
        raise ValueError("not an identifier")
    return quote(identifier, safe="")


def whole(row: dict[str, Any], name: str) -> int:
    """A required whole number. Raises KeyError if it is missing, TypeError if it is anything else."""
    value = row[name]
    if type(value) is not int:
        raise TypeError(name)
    return value


def present(row: dict[str, Any], name: str) -> Any:
    """A required value of whatever type. Raises KeyError if it is missing, null or empty."""
    if row.get(name) is None or row[name] == "":
        raise KeyError(name)
    return row[name]


def optional_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def direction(stated: Any, words: Mapping[str, CreditDebit], minor: int) -> CreditDebit:
    """The direction by the bank's own word, else by the amount's sign. Raises ValueError for a word not known."""
    if stated is None or stated == "":
        return "DBIT" if minor < 0 else "CRDT"
    if str(stated).upper() not in words:
        raise ValueError("a direction that is not known")
    return words[str(stated).upper()]


def instant(value: Any) -> datetime:
    """An ISO 8601 time or unix seconds, as an aware datetime; a time without zone is UTC, a bare date its midnight."""
    if isinstance(value, bool) or value is None:
        raise TypeError("no time")
    if not isinstance(value, str):
        return datetime.fromtimestamp(int(value), UTC)
    parsed = datetime.fromisoformat(value)
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def day_in(zone: str, moment: datetime) -> date:
    """The calendar day of an instant in a bank's zone."""
    local = moment.astimezone(pendulum.timezone(zone))
    return date(local.year, local.month, local.day)


def midnight(zone: str, day: date) -> datetime:
    """When `day` begins in a bank's zone."""
    return datetime(day.year, day.month, day.day, tzinfo=pendulum.timezone(zone))
