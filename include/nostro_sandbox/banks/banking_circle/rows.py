"""Banking Circle's rows: decimal numbers, days as midnights, pages without an end mark."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from starlette.requests import Request

from nostro_sandbox.wire import JsonObject, WireError, decimal_text, number, query_int, trimmed


def errors(code: str, text: str) -> list[JsonObject]:
    return [{"errorCode": code, "errorText": text}]


def decimal(minor: int, exponent: int) -> str:
    return number(trimmed(decimal_text(minor, exponent)))


def midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00+00:00"


def page(request: Request, items: Sequence[Any], high: int, row: Any = lambda item: item) -> JsonObject:
    """Pages count from one; nothing says which is the last."""
    page = query_int(request, "PageNumber", 1, low=1)
    size = query_int(request, "PageSize", 50, low=1, high=high)
    result = [row(item) for item in items[(page - 1) * size : page * size]]
    return {"result": result, "pageInfo": {"currentPage": page, "pageSize": size}}


def date_parameter(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise WireError(f"{name} is not a date") from None


def moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
