"""Between Python values and the bytes on the wire: exact decimals, JSON, forms, headers."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

JsonObject = dict[str, Any]

# Unlike anything a client can send.
_MARK = secrets.token_hex(16)


class WireError(Exception):
    """The request breaks the bank's wire protocol."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def decimal_text(minor: int, exponent: int) -> str:
    """Minor units as decimal text, every digit kept: ``(-5, 2)`` is ``-0.05``."""
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    whole, fraction = digits[: len(digits) - exponent], digits[len(digits) - exponent :]
    return ("-" if minor < 0 else "") + whole + ("." + fraction if fraction else "")


def trimmed(text: str) -> str:
    """The same number without trailing zeros after the point."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(text: str) -> str:
    """A JSON number given as its exact text; `json_response` takes the quotes off."""
    return f"{_MARK}{text}{_MARK}"


def json_text(content: Any) -> str:
    # The standard library writes decimals only through float, which loses digits.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=_decimal)
    return text.replace(f'"{_MARK}', "").replace(f'{_MARK}"', "")


def _decimal(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is nothing for JSON")
    return number(format(value, "f"))


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json_text(content), status, headers, media_type="application/json")


def oauth_error(status: int, message: str) -> JsonObject:
    """An error of a token endpoint as RFC 6749 words it."""
    name = "invalid_request"
    if status == 403:
        name = "access_denied"
    elif status in (429, 503):
        name = "temporarily_unavailable"
    elif status >= 500:
        name = "server_error"
    return {"error": name, "error_description": message}


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def require_content_type(request: Request, wanted: str) -> None:
    found = content_type(request)
    if found != wanted:
        raise WireError(f"Content type '{found}' not supported; send '{wanted}'", 415)


def require_header(request: Request, name: str) -> str:
    value = request.headers.get(name, "").strip()
    if not value:
        raise WireError(f"Required header '{name}' is missing")
    return value


async def json_body(request: Request) -> JsonObject:
    require_content_type(request, "application/json")
    try:
        body = json.loads(await request.body(), parse_float=Decimal)
    except ValueError:
        raise WireError("The request body is not JSON") from None
    if not isinstance(body, dict):
        raise WireError("The request body is not a JSON object")
    return body


async def form_body(request: Request) -> dict[str, str]:
    require_content_type(request, "application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise WireError("The request body is not a form") from None
    if len(dict(pairs)) != len(pairs):
        raise WireError("A form field is given twice")
    return dict(pairs)


def require_fields(body: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type] = {}) -> None:
    """Exactly the required fields, any of the optional ones, each of its type and nothing else."""
    for name, kind in required.items():
        if name not in body:
            raise WireError(f"Field '{name}' is missing")
        if not _is(body[name], kind):
            raise WireError(f"Field '{name}' has the wrong type")
    for name, value in body.items():
        if name in required:
            continue
        if name not in optional:
            raise WireError(f"Unknown field '{name}'")
        if value is not None and not _is(value, optional[name]):
            raise WireError(f"Field '{name}' has the wrong type")


def _is(value: Any, kind: type) -> bool:
    # JSON knows true apart from 1; Python's bool is an int.
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def query_int(request: Request, name: str, default: int, low: int | None = None, high: int | None = None) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise WireError(f"Query parameter '{name}' is not a number") from None
    if (low is not None and value < low) or (high is not None and value > high):
        raise WireError(f"Query parameter '{name}' is out of range")
    return value


def authorization(request: Request) -> tuple[str, str]:
    """The scheme in lower case and the rest; two empty strings without the header."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    return scheme.lower(), rest.strip()


def basic(request: Request) -> tuple[str, str] | None:
    """User and password of a Basic header; the password may itself hold colons."""
    scheme, value = authorization(request)
    if scheme != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
