"""The wire: how each request leaves and each answer comes back, for all banks.

Clients are bound to one origin, follow no redirect, wait for each step (connect, send, receive) no longer than the
connection's timeout, verify TLS, honour HTTPS_PROXY and NO_PROXY but never .netrc, and log one redacted line per
request.
"""

import email.utils
import json
import logging
import re
import ssl
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn

import httpx

from nostro import __version__
from nostro.errors import CertificateError, ConfigurationError, OriginRefused

log = logging.getLogger(__name__)

TOKEN_TIMEOUT = 30.0
# The alerts by which a server says so (RFC 8446 6.2): bad certificate, certificate required, unknown CA, ...
_ABOUT_CERTIFICATES = re.compile(r"alert .*(certificate|unknown ca)")
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """What a client needs to reach one origin of one connection."""

    conn_id: str
    origin: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None


def client(line: Line, auth: httpx.Auth | None = None) -> httpx.Client:
    def guard(request: httpx.Request) -> None:
        _guard(line, request, login=auth is None)

    with _usable_proxy(line):
        return httpx.Client(event_hooks={"request": [guard], "response": [_watch]}, **_options(line, auth))


def async_client(line: Line, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
    async def guard(request: httpx.Request) -> None:
        _guard(line, request, login=auth is None)

    async def watch(response: httpx.Response) -> None:
        _watch(response)

    with _usable_proxy(line):
        return httpx.AsyncClient(event_hooks={"request": [guard], "response": [watch]}, **_options(line, auth))


@contextmanager
def _usable_proxy(line: Line) -> Iterator[None]:
    """httpx reads the proxies' addresses when a client is made."""
    try:
        yield
    except (ValueError, ImportError):
        raise ConfigurationError(
            conn_id=line.conn_id,
            field="HTTPS_PROXY",
            reason="the address of a proxy in the environment cannot be used",
            advice="correct the environment variables HTTPS_PROXY, HTTP_PROXY and ALL_PROXY: http://host:port",
        ) from None


def _options(line: Line, auth: httpx.Auth | None) -> dict[str, Any]:
    return {
        "base_url": line.origin,
        "auth": _Bound(line, auth) if auth else None,
        "timeout": line.timeout,
        "headers": {"User-Agent": f"airflow-provider-nostro/{__version__}", **line.headers},
        "verify": line.tls or _default_tls(),
        "follow_redirects": False,
        # Plain http is for loopback only, and must not leave the machine by way of a proxy.
        "trust_env": line.origin.startswith("https:"),
    }


@cache
def _default_tls() -> ssl.SSLContext:
    """One context for all clients of the process: to read the authorities takes longer than most calls."""
    return httpx.create_ssl_context()


class _Bound(httpx.Auth):
    """An auth that signs for one line only: a request to another origin is refused before anybody logs in for it."""

    def __init__(self, line: Line, auth: httpx.Auth) -> None:
        self._line, self._auth = line, auth

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        _refuse_foreign(self._line, request)
        yield from self._auth.sync_auth_flow(request)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        _refuse_foreign(self._line, request)
        async with aclosing(self._auth.async_auth_flow(request)) as flow:
            outgoing = await anext(flow)
            while True:
                response = yield outgoing
                try:
                    outgoing = await flow.asend(response)
                except StopAsyncIteration:
                    return


def _guard(line: Line, request: httpx.Request, *, login: bool) -> None:
    """httpx calls this for each request that leaves, a redirect's next one included."""
    _refuse_foreign(line, request)
    request.extensions["nostro.sent_at"] = time.monotonic()
    request.extensions["nostro.login"] = login


def _refuse_foreign(line: Line, request: httpx.Request) -> None:
    if _origin(request.url) != _origin(httpx.URL(line.origin)):
        other = f"{request.url.scheme}://{request.url.host}"
        raise OriginRefused(conn_id=line.conn_id, origin=line.origin, other=other)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _watch(response: httpx.Response) -> None:
    if log.isEnabledFor(logging.DEBUG):
        request = response.request
        milliseconds = (time.monotonic() - request.extensions["nostro.sent_at"]) * 1000
        shown = (request.method, request.url.path, response.status_code, milliseconds, request_id(response))
        log.debug("%s %s -> %d in %.0f ms, request id %s", *shown)


def request_id(response: httpx.Response) -> str:
    """The id by which the bank's support finds this request: the bank's own, else the one that we sent, else '-'.

    Only what looks like a UUID is shown. A bank's must not be one of the credentials that it was sent, and that of an
    answer to a login is never shown: it could be the new token.
    """
    request = response.request
    theirs, ours = (str(headers.get("x-request-id", "")) for headers in (response.headers, request.headers))
    echoed = any(theirs in value for name, value in request.headers.items() if name != "x-request-id")
    if _UUID.fullmatch(theirs) and not echoed and not request.extensions.get("nostro.login"):
        return theirs
    return ours if _UUID.fullmatch(ours) else "-"


def operation(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def retry_at(response: httpx.Response, now: datetime) -> datetime | None:
    """When the bank wants to be asked again (Retry-After, RFC 9110 10.2.3, in either form), a day ahead at most."""
    stated = response.headers.get("retry-after", "")
    if stated.strip().isdecimal() and len(stated) < 10:
        return now + min(timedelta(seconds=int(stated)), timedelta(days=1))
    instant = http_date(stated)
    if instant is None:
        return None
    # The difference of the bank's own two clocks' readings counts, not that of its clock and ours.
    wait = instant - (http_date(response.headers.get("date")) or now)
    return now + min(max(wait, timedelta()), timedelta(days=1))


def http_date(text: str | None) -> datetime | None:
    """The instant of an HTTP date (RFC 9110 5.6.7), None if there is none to read."""
    try:
        read = email.utils.parsedate_to_datetime(text or "")
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def certificate_error(error: httpx.HTTPError, conn_id: str, host_field: str) -> CertificateError | None:
    """The error for one side's not taking the other's certificate; None if that is not what went wrong.

    `host_field` names the field that the address is from.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"the server's certificate is not trusted: {cause.verify_message}"
        elif isinstance(cause, ssl.SSLError) and _ABOUT_CERTIFICATES.search(tls_reason(cause)):
            reason = f"the server refuses the client certificate: {tls_reason(cause)}"
        else:
            continue
        advice = (
            "check the address, the client certificate if there is one, and, for a private authority, "
            "'ca_certificates_pem' or the machine's own trusted authorities"
        )
        return CertificateError(conn_id=conn_id, field=host_field, reason=reason, advice=advice)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def failure(error: httpx.HTTPError) -> str:
    """Why no answer came, in words of our own: httpx's may quote addresses with credentials in them."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {tls_reason(cause)}"
    if isinstance(error, httpx.ProxyError):
        return "the proxy refused"
    if isinstance(error, httpx.ConnectError):
        return "cannot connect"
    return "the connection broke"


def tls_reason(error: ssl.SSLError) -> str:
    """OpenSSL's own short reason, in plain words."""
    return str(getattr(error, "reason", None) or "no reason given").lower().replace("_", " ")


def parse_json(response: httpx.Response) -> Any:
    """The answer's JSON, its numbers as int and Decimal. Raises ValueError for anything else, NaN included."""
    try:
        return json.loads(response.content, parse_float=Decimal, parse_constant=_no_constant)
    except (RecursionError, ArithmeticError):
        raise ValueError("JSON nested, or with a number, beyond any document") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def dig(value: Any, path: Iterable[str]) -> Any:
    """The value at `path` in nested objects; None where the path ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class _NoResponseHeaders(logging.Filter):
    """Keep out the records in which httpcore, at DEBUG, prints the headers of an answer.

    They may hold tokens: MANGOPAY's WWW-Authenticate has a link with one in it, cookies are credentials, and a token
    that is new is known to no masker yet.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return "receive_response_headers.complete" not in record.getMessage()


for _name in ("httpcore.http11", "httpcore.http2"):
    logging.getLogger(_name).addFilter(_NoResponseHeaders())
