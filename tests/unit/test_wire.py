import logging
import ssl
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nostro import wire
from nostro.errors import OriginRefused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINE = wire.Line("c1", "https://bank.example", 30.0)


def answer(status: int = 200, headers=None, content: bytes = b"", sent=None) -> httpx.Response:
    request = httpx.Request("GET", "https://bank.example/v1/x?token=secret", headers=sent)
    return httpx.Response(status, headers=headers, content=content, request=request)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": " 5 "}, 5),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "999999999"}, 86400),
        ({"Retry-After": "Sun, 01 Mar 2026 12:02:00 GMT"}, 120),
        ({"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"Retry-After": "Sun, 01 Mar 2043 12:00:00 GMT"}, 86400),
        # The bank's clock is an hour slow: it is its own two readings that count.
        ({"Retry-After": "Sun, 01 Mar 2026 11:01:00 GMT", "Date": "Sun, 01 Mar 2026 11:00:00 GMT"}, 60),
    ],
)
def test_retry_after_is_read_in_both_forms(headers, wait):
    """A bank says when to come again in seconds or as a date; it is never in the past, nor beyond a day."""
    assert wire.retry_at(answer(429, headers), NOW) == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "Someday, 99 Foo 2026"])
def test_a_retry_after_that_says_nothing_is_none(value):
    """What is neither seconds nor a date says nothing."""
    assert wire.retry_at(answer(429, {"Retry-After": value}), NOW) is None


@given(text=st.text(max_size=60) | st.none())
@example(text="Mon, 01 Jan 2024 00:00:00 +99999999999999999")
@example(text="Mon, 01 Jan 99999999999999999999 00:00:00 GMT")
def test_any_date_header_gives_an_aware_instant_or_none(text):
    """No Date header, however malformed, raises; what is read is aware."""
    read = wire.http_date(text)
    assert read is None or read.tzinfo is not None


def test_numbers_are_never_floats():
    """JSON numbers come as int and Decimal, digit for digit."""
    read = wire.parse_json(answer(content=b'{"a": 0.1, "b": 1, "c": 12.60, "d": 1e2}'))
    assert {name: str(value) for name, value in read.items()} == {"a": "0.1", "b": "1", "c": "12.60", "d": "1E+2"}
    assert isinstance(read["a"], Decimal)


@pytest.mark.parametrize("content", [b"", b"<html>", b"NaN", b'{"a": Infinity}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_a_value_error(content):
    """Anything but JSON is one kind of error, also where Python's reader would take it or overflow."""
    with pytest.raises(ValueError):  # noqa: PT011 (json's own subclasses have their own words)
        wire.parse_json(answer(content=content))


THEIRS, OURS = "3f0e7a52-6f0b-4f57-9a55-0c6f0a3c7b11", "9c2d1f34-12ab-4cde-8f00-aabbccddeeff"


@pytest.mark.parametrize(
    ("headers", "sent", "shown"),
    [
        ({"x-request-id": THEIRS}, {"X-Request-ID": OURS}, THEIRS),
        ({}, {"X-Request-ID": OURS}, OURS),
        ({"x-request-id": "two words"}, {"X-Request-ID": OURS}, OURS),
        ({"x-request-id": "sk_live_a_secret"}, {}, "-"),
        ({"x-request-id": THEIRS}, {"Authorization": f"Bearer {THEIRS}"}, "-"),
        ({}, {"X-Request-ID": "sk_live_a_secret"}, "-"),
        ({}, {}, "-"),
    ],
)
def test_the_request_id_is_the_banks_or_ours(headers, sent, shown):
    """A request is shown by an id that the bank's support finds; no secret gets into its place."""
    assert wire.request_id(answer(headers=headers, sent=sent)) == shown


def test_the_request_id_of_a_login_is_never_the_banks():
    """It could be the new token, which nobody masks yet."""
    response = answer(headers={"x-request-id": THEIRS})
    response.request.extensions["nostro.login"] = True
    assert wire.request_id(response) == "-"


def test_an_operation_is_shown_without_its_query():
    """Queries may hold secrets, and are not shown."""
    assert wire.operation(answer().request) == "GET /v1/x"


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [({"a": {"b": 1}}, ["a", "b"], 1), ({"a": None}, ["a", "b"], None), ([1], ["a"], None), ("a", ["a"], None)],
)
def test_digging_ends_softly(value, path, found):
    """A path that ends early gives None, whatever lies there."""
    assert wire.dig(value, path) == found


def tls_failed() -> httpx.ConnectError:
    error, cause = httpx.ConnectError("https://anna:pw@x"), ssl.SSLError(1, "pw")
    cause.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadTimeout("https://anna:pw@x"), "no answer in time"),
        (httpx.ConnectError("https://anna:pw@x"), "cannot connect"),
        (httpx.ProxyError("http://anna:pw@proxy"), "the proxy refused"),
        (httpx.ReadError("https://anna:pw@x"), "the connection broke"),
        (tls_failed(), "TLS failed: tlsv13 alert certificate required"),
    ],
)
def test_failures_are_told_in_our_own_words(error, words):
    """Why no answer came is said without quoting httpx, which quotes addresses."""
    told = wire.failure(error)
    assert told.startswith(words)
    assert "pw" not in told


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://bank.example/",
        "https://bank.example:8443/",
        "https://bank.example.evil.example/",
        "https://bank.example@evil.example/",
    ],
)
def test_a_request_to_another_origin_does_not_leave(url):
    """A client refuses whatever is not of its connection's own scheme, host and port."""
    with wire.client(LINE) as client:
        guard = client.event_hooks["request"][0]
        with pytest.raises(OriginRefused) as refused:
            guard(client.build_request("GET", url))
    assert "c1" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["/v1/x", "//evil.example/", "https://bank.example/v1/x", "https://bank.example:443/v1/x"]
)
def test_a_request_to_the_own_origin_leaves(url):
    """The own origin may be written with its default port or without; a path stays a path."""
    with wire.client(LINE) as client:
        request = client.build_request("GET", url)
        client.event_hooks["request"][0](request)
    assert request.url.host == "bank.example"


def test_a_client_follows_no_redirect_and_waits_no_longer_than_told():
    """Clients have the connection's timeout and headers, and stay where they are sent."""
    line = wire.Line("c1", "https://bank.example", 7.5, {"X-Client": "acme"})
    with wire.client(line) as client:
        assert client.follow_redirects is False
        assert client.timeout == httpx.Timeout(7.5)
        assert client.headers["X-Client"] == "acme"


def test_a_line_does_not_show_its_headers():
    """Added headers may hold secrets, and are not in the repr."""
    assert "hush" not in repr(wire.Line("c1", "https://bank.example", 1, {"X-Token": "hush"}))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("receive_response_headers.complete [(b'WWW-Authenticate', b'PendingUserAction token=x')]", False),
        ("receive_response_headers.complete [(b'Set-Cookie', b'sid=x')]", False),
        ("receive_response_headers.complete [(b'X-Auth-Token', b'x')]", False),
        ("send_request_headers.complete", True),
    ],
)
def test_httpcores_debug_lines_hold_no_challenge(text, kept):
    """Below the wire's own line, no record prints a challenge's token or a cookie."""
    record = logging.LogRecord("httpcore.http11", logging.DEBUG, "", 0, "%s", (text,), None)
    assert bool(logging.getLogger("httpcore.http11").filter(record)) is kept
