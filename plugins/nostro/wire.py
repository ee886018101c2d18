"""The wire: how each request leaves and each answer comes back, for all banks.

Clients are bound to one origin, follow no redirect, wait for each step (connect, send, receive) no longer than the
connection's timeout, verify TLS, honour HTTPS_PROXY and NO_PROXY but never .netrc, and log one redacted line per
request.
"""

import email.utils
import json
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn

import httpx

from nostro import __version__
from nostro.connection import LOOPBACK
from nostro.errors import CertificateError, ConfigurationError, OriginRefused

log = logging.getLogger(__name__)

TOKEN_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_LONGEST_TOKEN_ANSWER = 1_048_576
_SANDBOXES = re.compile(r"(^|[.-])(\w*sandbox|uat|test|testing|staging|stage|demo|dev)([.-]|$)")
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


class BankClient(httpx.Client):
    """Sends to one origin. A request to another is refused before anybody logs in for it; no redirect is followed,
    whoever asks for it, as it would carry the credentials along.
    """

    def __init__(self, line: Line, **options: Any) -> None:
        super().__init__(**options)
        self._check = _check(line, login=self.auth is None)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        self._check(request)
        options["follow_redirects"] = False
        began = time.monotonic()
        with _readable_redirect(request):
            response = super().send(request, **options)
        if log.isEnabledFor(logging.DEBUG):
            _tell(response, time.monotonic() - began)
        return response


class AsyncBankClient(httpx.AsyncClient):
    """The same for a running event loop."""

    def __init__(self, line: Line, **options: Any) -> None:
        super().__init__(**options)
        self._check = _check(line, login=self.auth is None)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        self._check(request)
        options["follow_redirects"] = False
        began = time.monotonic()
        with _readable_redirect(request):
            response = await super().send(request, **options)
        if log.isEnabledFor(logging.DEBUG):
            _tell(response, time.monotonic() - began)
        return response


@contextmanager
def _readable_redirect(request: httpx.Request) -> Iterator[None]:
    """httpx reads where a redirect leads also where none is followed, and may not be able to."""
    try:
        yield
    except (httpx.InvalidURL, UnicodeError):
        raise httpx.RemoteProtocolError("a redirect that leads nowhere", request=request) from None


def client(line: Line, auth: httpx.Auth | None = None) -> BankClient:
    """A client for `line`. Without `auth` it is one for logins: what it is answered may be a token."""
    with _usable_proxy(line):
        return BankClient(line, **_options(line, auth))


def async_client(line: Line, auth: httpx.Auth | None = None) -> AsyncBankClient:
    with _usable_proxy(line):
        return AsyncBankClient(line, **_options(line, auth))


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
        "auth": auth,
        "timeout": line.timeout,
        "headers": {"User-Agent": f"airflow-provider-nostro/{__version__}", **line.headers},
        "verify": line.tls or _default_tls(),
        # Plain http is for loopback only, and must not leave the machine by way of a proxy.
        "trust_env": line.origin.startswith("https:"),
    }


@cache
def _default_tls() -> ssl.SSLContext:
    """One context for all clients of the process: to read the authorities takes longer than most calls."""
    return httpx.create_ssl_context()


def _check(line: Line, *, login: bool) -> Callable[[httpx.Request], None]:
    own = httpx.URL(line.origin)
    scheme, host, port = own.raw_scheme, own.raw_host, own.port  # read once, as this runs with each request

    def check(request: httpx.Request) -> None:
        url = request.url
        if url.raw_host != host or url.port != port or url.raw_scheme != scheme:
            raise OriginRefused(conn_id=line.conn_id, origin=line.origin, other=f"{url.scheme}://{url.host}")
        if login:
            request.extensions["nostro.login"] = True

    return check


def _tell(response: httpx.Response, seconds: float) -> None:
    """One line for each request that left: one that was refused and signed anew is in the history."""
    for answer in (*response.history, response):
        took = seconds if answer is response else answer.elapsed.total_seconds()
        shown = (answer.request.method, answer.request.url.path, answer.status_code, took * 1000, request_id(answer))
        log.debug("%s %s -> %d in %.0f ms, request id %s", *shown)


def exchange(client: httpx.Client, method: str, path: str, seconds: float, **request: Any) -> httpx.Response:
    """One request and its whole answer. Raises httpx.HTTPError, also for an answer that drips, or has no end."""
    timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
    content = bytearray()
    with (
        _cut_off(seconds) as extensions,
        client.stream(method, path, timeout=timeout, extensions=extensions, **request) as response,
    ):
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _LONGEST_TOKEN_ANSWER:
                raise httpx.ReadError("too long", request=response.request)
    # As bytes: a header need not be ASCII.
    headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
    return httpx.Response(response.status_code, headers=headers, content=bytes(content), request=response.request)


@contextmanager
def _cut_off(seconds: float) -> Iterator[dict[str, Any]]:
    """Extensions of a request whose connection is cut after `seconds`.

    httpx's own time-out is for each read; who drips byte by byte would hold the lease on a login for hours.
    """
    streams: list[Any] = []
    late = threading.Event()

    def note(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            streams.append(info["return_value"])
            if late.is_set():
                cut()

    def cut() -> None:
        late.set()
        for stream in streams:
            with suppress(OSError):  # it may have ended by itself
                socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield {"trace": note}
    except httpx.HTTPError as error:
        if late.is_set() and not never_sent(error):
            raise httpx.ReadTimeout("too slow", request=error.request) from None
        raise
    finally:
        timer.cancel()


def never_sent(error: httpx.HTTPError) -> bool:
    """Whether the request has surely not reached the bank."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)


def environment(origin: str) -> str:
    """Which of a bank's environments `origin` is, by its name, for people who mixed them up."""
    host = httpx.URL(origin).host
    if host in LOOPBACK:
        return "this machine"
    return "sandbox" if _SANDBOXES.search(host) else "production"


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


class _NoAnswers(logging.Filter):
    """Keep out the records in which httpcore, at DEBUG, prints the head of an answer, or what of it made no sense.

    They may hold tokens: MANGOPAY's WWW-Authenticate has a link with one in it, cookies are credentials, and a token
    that is new is known to no masker yet.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        return "receive_response" not in said or said.startswith(_HARMLESS)


class _NoReasons(logging.Filter):
    """httpx logs each answer with the reason that the server gave in its own words: the status says as much."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            record.args = (*record.args[:4], "")
        return True


_HARMLESS = ("receive_response_headers.started", "receive_response_body.started", "receive_response_body.complete")
for _name in ("httpcore.http11", "httpcore.http2"):
    logging.getLogger(_name).addFilter(_NoAnswers())
logging.getLogger("httpx").addFilter(_NoReasons())
