"""A token endpoint's answers: a token, and each way of not getting one, by the banks' own documents."""

import json
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from nostro.auth.endpoint import Answer, TokenEndpoint
from nostro.auth.lifetimes import Lifetimes
from nostro.errors import (
    AccountLocked,
    AddressRefused,
    AuthError,
    CertificateError,
    CodeRefused,
    CredentialsRefused,
    LoginsThrottled,
    PasswordExpired,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)
from nostro.wire import Line

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDPOINT = TokenEndpoint(Line("c1", "https://bank.example", 30), "B", "the field 'password'", lambda: NOW)


def oauth(error: str, description: str) -> dict:
    return {"error": error, "error_description": description}


def fineract(message: str) -> dict:
    inner = {"developerMessage": message, "userMessageGlobalisationCode": "error.msg.x", "args": [{"value": "x"}]}
    return {"developerMessage": "x", "httpStatusCode": "401", "defaultUserMessage": "x", "errors": [inner]}


def problem(status: int, detail: str) -> dict:
    kind = "https://www.m2pfintech.com/problem/problem-with-message"
    return {"type": kind, "title": "x", "status": status, "detail": detail, "message": f"error.http.{status}"}


def kuna(code: str, message: object) -> dict:
    return {"errors": [{"code": code, "message": message}]}


def mangopay(kind: str, message: str) -> dict:
    return {"Message": message, "Type": kind, "Id": "x", "Date": 1733404277.0, "errors": None}


def circle(text: str) -> list:
    return [{"errorCode": "401", "errorText": text}]


LOCKED_AT_MANGOPAY = "This account has been temporarily locked because of too many failed attempts"
JWT_EXPIRED = {"name": "TokenExpiredError", "message": "jwt expired", "expiredAt": "2024-02-09T19:23:17.000Z"}
REFUSALS = {
    "Mbanq, wrong password": (400, oauth("invalid_grant", "Bad credentials"), CredentialsRefused),
    "Mbanq, wrong password, 401": (401, oauth("invalid_grant", "Bad credentials"), CredentialsRefused),
    "Mbanq, refresh token at its end": (400, oauth("invalid_grant", "Invalid refresh token"), CredentialsRefused),
    "Mbanq, wrong tenant": (401, fineract("Invalid tenant identifier: x"), CredentialsRefused),
    "Mbanq, locked": (400, oauth("invalid_grant", "User account is locked"), AccountLocked),
    "Mbanq, expired": (400, oauth("invalid_grant", "User credentials have expired"), PasswordExpired),
    "M2P, wrong secret": (401, problem(401, "Invalid client credentials"), CredentialsRefused),
    "M2P, older platform": (401, {"status": "error", "error": {"code": "AUTH_001"}}, CredentialsRefused),
    "M2P, locked": (401, problem(401, "The client is locked"), AccountLocked),
    "M2P, address": (403, problem(403, "IP not whitelisted"), AddressRefused),
    "M2P, no word why": (403, problem(403, "Forbidden"), AddressRefused),
    "MANGOPAY, wrong client": (
        401,
        oauth("invalid_client", "The authorization header was malformed"),
        CredentialsRefused,
    ),
    "MANGOPAY, credentials": (401, mangopay("invalid_credentials", "are not valid"), CredentialsRefused),
    "MANGOPAY, locked": (400, oauth("unauthorized_client", LOCKED_AT_MANGOPAY), AccountLocked),
    "MANGOPAY, throttled": (
        429,
        mangopay("rate_limit", "Rate limit exceeded. Please contact support"),
        LoginsThrottled,
    ),
    "MANGOPAY, throttled in disguise": (400, mangopay("rate_limit", "Rate limit exceeded."), LoginsThrottled),
    "Kuna, wrong password": (401, kuna("UNAUTHORIZED", "Invalid credentials"), CredentialsRefused),
    "Kuna, token at its end": (401, kuna("UNAUTHORIZED", JWT_EXPIRED), CredentialsRefused),
    "Kuna, refresh token at its end": (401, kuna("REFRESH_TOKEN_EXPIRED", "Invalid token"), CredentialsRefused),
    "Kuna, blocked": (403, kuna("USER_BLOCKED", "User is blocked"), AccountLocked),
    "Banking Circle, wrong password": (401, circle("Wrong username or password"), CredentialsRefused),
    "Banking Circle, locked": (403, circle("The user is locked"), AccountLocked),
    "Banking Circle, firewall": (403, "<h1>403 Forbidden</h1> hush", AddressRefused),
    "Banking Circle, throttled": (429, "", LoginsThrottled),
    "a known code with 403": (403, oauth("invalid_client", "x"), CredentialsRefused),
    "a known code with 404": (404, oauth("invalid_client", "x"), CredentialsRefused),
    "an error with 200": (200, oauth("invalid_client", "x"), CredentialsRefused),
    "an unknown error with 200": (200, oauth("hush", "x"), CredentialsRefused),
    "401 and nothing": (401, "", CredentialsRefused),
    "422": (422, {"message": "x"}, CredentialsRefused),
    "423": (423, "", AccountLocked),
    "an address with 401": (401, {"message": "Your IP address 10.0.0.1 is not on the allow-list"}, AddressRefused),
    "a password with 403": (403, {"message": "Your password has expired"}, PasswordExpired),
    "throttled with 403": (403, {"message": "Too many login requests"}, LoginsThrottled),
    "a firewall's page": (403, "<h1>Request blocked. We can't connect</h1>", AddressRefused),
    "a token that is blocked": (400, {"message": "Refresh token is blocked"}, CredentialsRefused),
    "a wrong password from an address": (
        401,
        {"error": "invalid_grant", "error_description": "Bad credentials, not from ip 10.1.2.3"},
        CredentialsRefused,
    ),
    "maintenance with 400": (400, {"message": "System maintenance, try again later"}, TokenEndpointUnavailable),
    "a password to try again": (400, {"message": "Wrong password, try again"}, CredentialsRefused),
    "OAuth's own outage": (400, {"error": "temporarily_unavailable"}, TokenEndpointUnavailable),
    "an internal error with 200": (200, {"errors": [{"code": "INTERNAL_SERVER_ERROR"}]}, UnexpectedAnswer),
    "a page with 400": (400, "<h1>Bad Request</h1>", UnexpectedAnswer),
}


def answered(status: int, body: object, **headers: str) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    return httpx.Response(status, content=content, headers=headers)


def refused(endpoint: TokenEndpoint = ENDPOINT) -> Exception:
    with pytest.raises((AuthError, UnexpectedAnswer, CertificateError)) as raised:
        endpoint.ask("POST", "/token", json={"password": "hush"}, headers={"Authorization": "Basic hush"})
    return raised.value


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_is_told_from_the_others(bank, status, body, kind):
    """A wrong password, a lock, an expired password, an address, a limit: each is an error of its own, after one try.

    It can be kept for the whole fleet, names connection, bank and host, and quotes nothing of what the bank wrote.
    """
    if isinstance(body, dict):
        body = {**body, "debugMessage": "hush"}
    bank.answers = [answered(status, body)]
    error = refused()
    assert type(error) is kind
    assert len(bank.asked) == 1
    assert json.loads(json.dumps(error.fields)) == error.fields
    for words in ("'c1'", "B"):
        assert words in str(error)
    assert "hush" not in f"{error} {error.fields}"


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (400, oauth("invalid_grant", "x"), "invalid_grant"),
        (401, kuna("REFRESH_TOKEN_EXPIRED", "x"), "REFRESH_TOKEN_EXPIRED"),
        (401, mangopay("invalid_credentials", "x"), "invalid_credentials"),
        (401, oauth("hush-hush", "x"), "status 401"),
        (401, circle("x"), "status 401"),
    ],
)
def test_a_refusal_shows_documented_codes_only(bank, status, body, shown):
    """A bank's own word is shown if it is one of those that the documents know; else the status."""
    bank.answers = [answered(status, body)]
    assert f"({shown}); check the field 'password'" in str(refused())


@pytest.mark.parametrize(
    ("origin", "environment"),
    [
        ("https://api.sandbox.bank.example", "sandbox"),
        ("https://api.bank.example", "production"),
        ("http://127.0.0.1:8811", "this machine"),
    ],
)
@pytest.mark.parametrize("status", [401, 403, 423, 429, 500])
def test_a_refusal_names_the_environment(bank, status, origin, environment):
    """Credentials of one environment are refused by the other: where it was asked is part of each refusal."""
    bank.answers = [answered(status, "")]
    endpoint = replace(ENDPOINT, line=replace(ENDPOINT.line, origin=origin))
    assert f"{origin} ({environment})" in str(refused(endpoint))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, fineract("Invalid access token"), CodeRefused),
        (403, fineract("The one-time password is not valid"), CodeRefused),
        (403, "", CodeRefused),
        (400, fineract("x"), CodeRefused),
        (403, fineract("The IP address is not on the list"), AddressRefused),
        (403, fineract("The user is locked"), AccountLocked),
        (429, "", LoginsThrottled),
        (503, "", TokenEndpointUnavailable),
    ],
)
def test_after_the_login_it_is_a_code_that_is_refused(bank, status, body, kind):
    """What is asked with an access token refuses the code, and says so; locks and limits are what they are."""
    bank.answers = [answered(status, body, Date="Sun, 01 Mar 2026 12:00:05 GMT")]
    error = refused(replace(ENDPOINT, after_login=True))
    assert type(error) is kind
    if kind is CodeRefused:
        assert (error.fields["status"], error.fields["bank_time"]) == (status, "2026-03-01T12:00:05+00:00")


@pytest.mark.parametrize(("status", "acted"), [(500, True), (502, True), (504, True), (408, True), (503, True)])
def test_an_outage_says_whether_the_bank_may_have_acted(bank, status, acted):
    """A refresh token may be used up by what a gateway did not see answered, whatever it says of that."""
    bank.answers = [answered(status, "<h1>hush</h1>")]
    error = refused()
    assert type(error) is TokenEndpointUnavailable
    assert (error.fields["acted"], error.remedy) == (acted, "retry")
    assert f"status {status}" in str(error)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_banks_own_time_is_taken(bank, status):
    """Retry-After of a limit or an outage is when it is to be tried again."""
    bank.answers = [answered(status, "", **{"Retry-After": "90"})]
    assert refused().retry_at == NOW + timedelta(seconds=90)
    bank.answers = [answered(status, "")]
    assert refused().retry_at is None


def test_a_refused_address_is_left_alone_for_a_while(bank):
    """The bank tells no time: nobody asks from there for ten minutes, and then somebody does."""
    bank.answers = [answered(403, "<h1>403 Forbidden</h1>")]
    assert refused().retry_at == NOW + timedelta(minutes=10)


NOT_SENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
MAYBE_SENT = [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError]


@pytest.mark.parametrize(
    ("kind", "acted"), [*((kind, False) for kind in NOT_SENT), *((kind, True) for kind in MAYBE_SENT)]
)
def test_a_broken_connection_says_whether_the_bank_may_have_acted(bank, kind, acted):
    """What surely never left is told from what may have arrived; httpx's error, which holds the request, is let go."""
    bank.answers = [kind("https://anna:hush@bank.example")]
    error = refused()
    assert type(error) is TokenEndpointUnavailable
    assert error.fields["acted"] is acted
    assert (error.__cause__, error.__context__) == (None, None)
    assert "hush" not in str(error)


def test_a_certificate_that_is_not_trusted_is_no_outage(bank):
    """No retry mends it, and the message names the field that the address is from."""
    failed, cause = httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")
    cause.verify_message, failed.__cause__ = "self-signed certificate", cause
    bank.answers = [failed]
    error = refused(replace(ENDPOINT, host_field="authorization_url"))
    assert type(error) is CertificateError
    assert error.fields["field"] == "authorization_url"
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, "<h1>hush</h1>") for status in (200, 204, 302, 404, 405, 409, 410)),
        *((200, body) for body in ("hush", "[]", "5", "null", [{"access_token": "hush"}])),
    ],
)
def test_what_is_no_token_endpoint_is_told(bank, status, body):
    """An address that answers something else is the connection's mistake or the bank's, and no refusal."""
    bank.answers = [answered(status, body)]
    error = refused()
    assert type(error) is UnexpectedAnswer
    assert "check that 'host' is this bank's API" in str(error)
    assert "hush" not in str(error)
    assert len(bank.asked) == 1


def test_a_token_lives_from_when_it_was_asked_for(bank, clock):
    """However long the answer took: that much of the life may be gone when it is read."""

    def slowly(request: httpx.Request) -> httpx.Response:
        clock.forward(20)
        return answered(200, {"access_token": "t", "expires_in": 300}, Date="Sun, 01 Mar 2026 12:00:20 GMT")

    bank.answers = [slowly]
    asked = clock()
    endpoint = replace(ENDPOINT, now=clock)
    answer = endpoint.ask("POST", "/token")
    token = endpoint.timed("t", answer.body["expires_in"], answer, Lifetimes(timedelta(hours=1)))
    assert (token.issued_at, token.expires_at) == (asked, asked + timedelta(seconds=300))


@pytest.mark.parametrize(("timeout", "connect", "read"), [(600, 10, 30), (30, 10, 30), (5, 5, 5)])
def test_a_token_request_has_thirty_seconds_at_most(bank, timeout, connect, read):
    """Whatever the connection's own timeout: others wait for the lease meanwhile."""
    bank.answers = [answered(200, {"access_token": "t"})]
    replace(ENDPOINT, line=replace(ENDPOINT.line, timeout=timeout)).ask("POST", "/token")
    waits = bank.asked[0].extensions["timeout"]
    assert (waits["connect"], waits["read"], waits["write"]) == (connect, read, read)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", None])
def test_bearer_tokens_are_taken(token_type):
    """The type is compared without regard to case, and may be left out."""
    ENDPOINT.check_bearer(token_type)


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "", "Bearer ", 5, True, [], {}])
def test_tokens_of_another_type_are_refused(token_type):
    """A token of a type that we do not know is not used."""
    with pytest.raises(UnexpectedAnswer, match="'c1'"):
        ENDPOINT.check_bearer(token_type)


@pytest.mark.parametrize("value", ["67b036bd007c40378d4be5a934f197e6", "eyJ0.eyJp.c2ln-_~+/=", "x" * 32768])
def test_a_token_is_text_that_fits_a_header(value):
    """A token goes out as it came."""
    assert ENDPOINT.token_text(value) == value


@pytest.mark.parametrize(
    "value", [None, "", 5, True, [], {}, "x" * 32769, "a b", "a\nb", "a\r\nX: y", "ä", "a\x00", "a\x7f"]
)
def test_a_token_that_fits_no_header_is_refused(value):
    """What could not be sent, or would smuggle a header in, is refused where it comes in, and not quoted."""
    with pytest.raises(UnexpectedAnswer) as refused:
        ENDPOINT.token_text(value, "access token")
    assert "access token" in str(refused.value)
    assert "X: y" not in str(refused.value)


def test_a_token_is_timed_by_both_clocks():
    """A token's end is by our clock, its life by the bank's."""
    theirs = NOW - timedelta(hours=5)
    answer = Answer({}, f"{theirs:%a, %d %b %Y %H:%M:%S} GMT", NOW)
    token = ENDPOINT.timed("t", int(theirs.timestamp()) + 600, answer, Lifetimes(timedelta(hours=1)), refresh_token="r")
    assert (token.issued_at, token.expires_at) == (NOW, NOW + timedelta(minutes=10))
    assert token.refresh_token == "r"


@pytest.mark.parametrize("stated", [True, "soon", [], {}, "NaN"])
def test_a_life_that_is_no_number_is_unexpected(stated):
    """A malformed life is the bank's mistake, said in one sentence that names the connection."""
    with pytest.raises(UnexpectedAnswer, match=r"'c1'.*lifetime"):
        ENDPOINT.timed("t", stated, Answer({}, None, NOW), Lifetimes(timedelta(hours=1)))


@pytest.mark.parametrize("date", ["Mon, 01 Jan 2024 00:00:00 +99999999999999999", "x" * 1000])
def test_a_malformed_date_is_no_obstacle(date):
    """A bank's Date header that nobody can read leaves our own clock."""
    token = ENDPOINT.timed("t", 300, Answer({}, date, NOW), Lifetimes(timedelta(hours=1)))
    assert token.expires_at == NOW + timedelta(minutes=5)


def test_a_bank_error_of_the_endpoint_says_what_was_called():
    """A bank error's fields hold conn_id, bank, operation, status and request_id, as errors.py promises."""
    assert {"conn_id", "bank", "operation", "status", "request_id"} <= ENDPOINT.unexpected("x").fields.keys()


def test_an_endpoint_shows_no_secret():
    """A token endpoint's repr has neither headers nor tokens in it."""
    endpoint = TokenEndpoint(Line("c1", "https://bank.example", 30, {"X-Key": "hush"}), "B", "x", lambda: NOW)
    assert "hush" not in repr(endpoint)
