import gzip
import itertools
import logging
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
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


def streamed(chunks, headers=None) -> httpx.Response:
    class Stream(httpx.SyncByteStream):
        def __iter__(self):
            yield from chunks

    return httpx.Response(200, headers=headers, stream=Stream())


def exchanged(seconds: float = 30.0, **request) -> httpx.Response:
    with wire.client(LINE) as client:
        return wire.exchange(client, "POST", "/token", seconds, **request)


def test_an_exchange_gives_the_whole_answer(bank):
    """As it came, unpacked, with its status and headers, and the request that it is the answer to."""
    packed = gzip.compress(b'{"access_token": "t"}')
    bank.answers = [streamed([packed[:9], packed[9:]], {"Content-Encoding": "gzip", "Date": "x"})]
    response = exchanged(json={"grant": "x"})
    assert (response.status_code, response.json(), response.headers["date"]) == (200, {"access_token": "t"}, "x")
    assert response.request.content == b'{"grant":"x"}'
    assert len(bank.asked) == 1


@pytest.mark.parametrize("size", [0, 1024 * 1024])
def test_an_answer_may_be_empty_or_long(bank, size):
    """Up to the longest that any token is."""
    bank.answers = [streamed([b"x" * size])]
    assert len(exchanged().content) == size


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
def dripping():
    """A server that answers, after `first`, a byte each few milliseconds, for a third of a second; gives its origin."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as after:

        def drip(first: bytes) -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(first)
                for _ in range(60):
                    connection.send(b"x")
                    over.wait(0.005)

        def serve(first: bytes) -> wire.Line:
            thread = threading.Thread(target=drip, args=(first,))
            thread.start()
            after.callback(thread.join, 10)
            after.callback(over.set)
            return wire.Line("c1", f"http://127.0.0.1:{server.getsockname()[1]}", 30.0)

        over = threading.Event()
        yield serve


def seconds_until_cut_off(line: wire.Line, seconds: float) -> float:
    began = time.monotonic()
    with wire.client(line) as client, pytest.raises(httpx.ReadTimeout):
        wire.exchange(client, "POST", "/token", seconds)
    return time.monotonic() - began


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX: ", HEAD], ids=["head", "body"])
def test_an_answer_that_drips_is_cut_off(dripping, first):
    """Head or body, however often a byte comes: others wait for the lease on this login."""
    assert seconds_until_cut_off(dripping(first), 0.05) < 0.2


def test_an_answer_that_drips_after_a_late_connection_is_cut_off(dripping, monkeypatch):
    """A name may have several addresses, each with a time-out of its own, before one of them answers."""
    connect = socket.create_connection

    def late(*args, **more) -> socket.socket:
        threading.Event().wait(0.1)
        return connect(*args, **more)

    monkeypatch.setattr(socket, "create_connection", late)
    assert seconds_until_cut_off(dripping(HEAD), 0.05) < 0.3


def test_a_connection_that_never_came_is_no_slow_answer(monkeypatch):
    """Where connecting takes all the time there is, nothing was sent: a refresh token is still unused."""

    def never(*args, **more) -> socket.socket:
        threading.Event().wait(0.05)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", never)
    with wire.client(LINE) as client, pytest.raises(httpx.HTTPError) as failed:
        wire.exchange(client, "POST", "/token", 0.01)
    assert wire.never_sent(failed.value)


def test_an_answer_in_time_is_not_cut_off(dripping):
    """A slow bank is no stuck one."""
    with wire.client(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")) as client:
        assert wire.exchange(client, "POST", "/token", 10.0).content == b"x" * 20


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_an_answer_without_end_is_cut_off(bank, packed):
    """Before it fills the memory, also where it is small only as long as it is packed."""
    chunk = b"x" * 65_536
    chunks = iter([gzip.compress(chunk * 40)]) if packed else itertools.repeat(chunk)
    bank.answers = [streamed(chunks, {"Content-Encoding": "gzip"} if packed else None)]
    with pytest.raises(httpx.ReadError):
        exchanged()


@pytest.mark.parametrize(
    ("host", "environment"),
    [
        *(
            (host, "sandbox")
            for host in ("sandbox.bankingcircleconnect.com", "authorizationsandbox.bankingcircleconnect.com")
        ),
        *((host, "sandbox") for host in ("api.sandbox.mangopay.com", "sandbox-api.m2pprepaid.com", "uat-api.m2p.com")),
        *((host, "sandbox") for host in ("api-test.bank.example", "staging.bank.example", "demo.bank.example")),
        *((host, "production") for host in ("www.bankingcircleconnect.com", "authorization.bankingcircleconnect.com")),
        *((host, "production") for host in ("api.mangopay.com", "api.m2pprepaid.com", "api.cloud.mbanq.com")),
        *((host, "production") for host in ("contest.bank.example", "developers.bank.example", "latest-bank.example")),
        *((host, "this machine") for host in ("127.0.0.1:8811", "localhost", "[::1]:8811")),
    ],
)
def test_an_environment_is_known_by_its_name(host, environment):
    """The banks' documented hosts, and words that only look like one."""
    assert wire.environment(f"https://{host}") == environment


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
    with wire.client(LINE) as client, pytest.raises(OriginRefused) as refused:
        client.get(url)
    assert "c1" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["/v1/x", "//evil.example/", "https://bank.example/v1/x", "https://bank.example:443/v1/x"]
)
def test_a_request_to_the_own_origin_leaves(bank, url):
    """The own origin may be written with its default port or without; a path stays a path."""
    with wire.client(LINE) as client:
        bank.answers = [httpx.Response(200)]
        assert client.get(url).request.url.host == "bank.example"


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
