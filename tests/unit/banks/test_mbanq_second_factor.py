"""Mbanq's second factor: when it is due, codes by time, codes by a person."""

import base64
import hmac
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from string import Formatter
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nostro.auth.endpoint import TokenEndpoint
from nostro.auth.grant import Grant
from nostro.auth.source import TokenSource
from nostro.banks.mbanq.second_factor import SecondFactor, secret_of_totp, verification_ended
from nostro.connection import BankConnection
from nostro.errors import (
    CodeRefused,
    ConfigurationError,
    CredentialsRefused,
    LeaseTimeout,
    NostroError,
    SecondFactorDue,
    StoreUnavailable,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)
from nostro.hooks.parking import TaskParked
from nostro.wire import Line

MESSAGE = "Access to type 'Payment' is restricted"
ENDED = {
    "the seed's code": (403, {"code": "RESTRICTED", "message": MESSAGE}),
    "the seed's message": (403, {"message": MESSAGE}),
    "the seed's error": (403, {"error": {"code": "RESTRICTED"}}),
    "the SDK's errorCode": (403, {"message": "x", "details": {"errorCode": "RESTRICTED"}}),
    "the SDK's graphqlCode": (200, {"error": {"details": {"graphqlCode": "RESTRICTED"}}}),
    "GraphQL's extensions": (
        200,
        {"data": None, "errors": [{"message": "x", "extensions": {"code": "RESTRICTED", "classification": "x"}}]},
    ),
    "GraphQL's message": (200, {"data": None, "errors": [{"message": MESSAGE}]}),
    "GraphQL's second error": (200, {"errors": [{"message": "x"}, {"message": MESSAGE}]}),
    "a list of errors": (403, [{"code": "RESTRICTED"}]),
}
NOT_ENDED = {
    "another code": (403, {"code": "FORBIDDEN", "message": "no"}),
    "a lacking right": (403, {"httpStatusCode": "403", "developerMessage": "not authorised", "errors": []}),
    "data that says so": (200, {"data": {"code": "RESTRICTED", "message": MESSAGE}}),
    "an account of that name": (200, {"data": {"accounts": [{"status": "RESTRICTED"}]}}),
    "a payment's note": (200, {"pageItems": [{"note": MESSAGE}]}),
    "a number": (200, 5),
    "another message": (403, {"message": "restricted"}),
}


@pytest.mark.parametrize(("status", "body"), ENDED.values(), ids=ENDED)
def test_an_ended_verification_is_seen_in_every_shape(status, body):
    """RESTRICTED is found where the seed, the SDK and GraphQL put it."""
    assert verification_ended(httpx.Response(status, json=body))


@pytest.mark.parametrize("realm", ["Fineract Platform API Two Factor", "fineract platform api two factor"])
def test_fineracts_own_challenge_is_seen(realm):
    """Fineract itself answers 401 and names the second factor as the realm."""
    assert verification_ended(httpx.Response(401, headers={"WWW-Authenticate": f'Basic realm="{realm}"'}))


@pytest.mark.parametrize(("status", "body"), NOT_ENDED.values(), ids=NOT_ENDED)
def test_nothing_else_is_taken_for_it(status, body):
    """Other refusals, and data that happens to hold the word, cost no code."""
    assert not verification_ended(httpx.Response(status, json=body))


@pytest.mark.parametrize(
    "content", [b"", b"RESTRICTED", b"<h1>restricted</h1>", b'{"errors":[' * 480 + b'"RESTRICTED"' + b"]}" * 480]
)
def test_what_is_no_such_answer_is_no_obstacle(content):
    """A body that is no JSON, or nested beyond sense, says nothing and raises nothing."""
    assert not verification_ended(httpx.Response(403, content=content))


@pytest.mark.parametrize(
    "text", ["GEZDGNBVGY3TQOJQ", "gezd gnbv gy3t qojq", "GEZD-GNBV-GY3T-QOJQ", "GEZDGNBVGY3TQOJQ===="]
)
def test_a_totp_secret_is_read_as_banks_show_it(text):
    """Blanks, dashes, small letters and padding in a TOTP secret do no harm."""
    assert secret_of_totp(BankConnection("c1", extra={"totp_secret": text})) == b"1234567890"


@given(secret=st.binary(min_size=10, max_size=40))
def test_any_secret_survives_base32(secret):
    """Whatever the length of a secret, it is read without its padding too."""
    text = base64.b32encode(secret).decode().rstrip("=")
    assert secret_of_totp(BankConnection("c1", extra={"totp_secret": text})) == secret


@pytest.mark.parametrize("text", ["018", "GEZD!", "ä", "A", "***"])
def test_a_malformed_totp_secret_is_told(text):
    """What is no base32 is one sentence about that field, and does not quote it."""
    with pytest.raises(ConfigurationError) as refused:
        secret_of_totp(BankConnection("c1", extra={"totp_secret": text}))
    assert refused.value.fields["field"] == "totp_secret"


def test_no_totp_secret_is_none():
    """Without a secret there is none."""
    assert secret_of_totp(BankConnection("c1")) is None
    assert secret_of_totp(BankConnection("c1", extra={"totp_secret": ""})) is None


@pytest.mark.parametrize("text", ["   ", "-", "= ="])
def test_a_totp_secret_of_blanks_is_no_secret(text):
    """A field of blanks makes no codes from an empty key: it is told, or taken as not set."""
    try:
        assert secret_of_totp(BankConnection("c1", extra={"totp_secret": text})) is None
    except ConfigurationError as refused:
        assert refused.fields["field"] == "totp_secret"  # noqa: PT017 (either outcome is fine)


def filled(kind: type[NostroError], **more: Any) -> NostroError:
    return kind(**{name: "x" for _, name, _, _ in Formatter().parse(kind.template) if name}, **more)


# By TOTP

SECRET = b"12345678901234567890"  # RFC 6238's own
DUE = {"developerMessage": "x", "errors": [{"developerMessage": "The one-time password is not valid"}]}


def code_at(instant: datetime) -> str:
    """RFC 6238, by another hand."""
    digest = hmac.digest(SECRET, struct.pack(">Q", int(instant.timestamp()) // 30), "sha1")
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


@dataclass
class Verifier:
    """Mbanq's second factor: takes the code of its own clock's step, or the one that it sent last, each once."""

    clock: Callable[[], datetime]
    ahead: timedelta = timedelta()
    tells_time: bool = True
    access_token: str = ""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    sent: str = "29GZT"
    failing: list[Any] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response | Exception:
        now, body = self.clock() + self.ahead, json.loads(request.content)
        self.asked.append((request.url.path, body))
        headers = {"Date": f"{now:%a, %d %b %Y %H:%M:%S} GMT"} if self.tells_time else {}
        if self.failing:
            return self.failing.pop(0)
        if self.access_token not in request.headers["Authorization"]:
            return httpx.Response(401, json={}, headers=headers)
        if request.url.path == "/v1/twofactor":
            return httpx.Response(200, json={"requestTime": moment(now), "expirationTime": moment(now + FIVE_MINUTES)})
        right = code_at(now) if body["deliveryMethod"] == "TOTP" else self.sent
        if body["token"] != right or right in self.used:
            return httpx.Response(403, json=DUE, headers=headers)
        self.used.add(right)
        span = {"validFrom": f"{now:%Y-%m-%d %H:%M:%S}", "validTo": f"{now + timedelta(hours=8):%Y-%m-%d %H:%M:%S}"}
        return httpx.Response(200, json={"token": f"tfa-{len(self.used)}", **span}, headers=headers)

    @property
    def codes(self) -> list[str]:
        return [body["token"] for path, body in self.asked if path == "/v1/twofactor/validate"]

    @property
    def sendings(self) -> int:
        return sum(path == "/v1/twofactor" for path, _ in self.asked)


FIVE_MINUTES = timedelta(minutes=5)


def moment(at: datetime) -> dict[str, Any]:
    """As the documents show it."""
    time = {"hour": at.hour, "minute": at.minute, "second": at.second, "nano": 0}
    return {"date": [at.year, at.month, at.day], "time": time}


@pytest.fixture
def mbanq(bank, clock):
    verifier = Verifier(clock)
    bank.answers = [verifier]
    return verifier


@pytest.fixture
def slept():
    return []


@pytest.fixture
def worker(mbanq, process_tokens, mint, clock, slept):
    """One more worker's second factor, over the same database and the same login."""

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.forward(seconds)

    def make(secret: bytes | None = SECRET, way: str = "") -> SecondFactor:
        cache = process_tokens()
        login = TokenSource(cache, ("login",), "anna's login", mint.grant, "c1", "Mbanq")
        line = Line("c1", "https://bank.example", 30.0)
        endpoint = TokenEndpoint(line, "Mbanq", "the field 'totp_secret'", clock, after_login=True)
        return SecondFactor(endpoint, login, cache.codes, "anna", TaskParked, secret, way, sleep)

    return make


@pytest.fixture
def source(process_tokens):
    """The verification's token, kept for the fleet like any other."""

    def make(factor: SecondFactor) -> TokenSource:
        return TokenSource(process_tokens(), ("tfa",), "anna", Grant(factor.verify), "c1", "Mbanq")

    return make


def test_the_first_code_is_sent_at_once(worker, mbanq, clock, slept):
    """The code of this very step, with the access token, and no wait."""
    clock.instant = datetime(2009, 2, 13, 23, 31, 30, tzinfo=UTC)  # in RFC 6238's table of test values
    assert worker().verify().value == "tfa-1"
    assert mbanq.asked == [("/v1/twofactor/validate", {"token": "005924", "deliveryMethod": "TOTP"})]
    assert slept == []


def test_a_verification_lives_as_long_as_the_bank_says(worker, clock):
    """From validFrom to validTo, whatever zone these are in."""
    assert worker().verify().expires_at == clock() + timedelta(hours=8)


@pytest.mark.parametrize("passed", [0, 1, 29.5])
def test_a_used_code_is_not_sent_again(worker, mbanq, clock, slept, passed):
    """RFC 6238 5.2: the next verification, by any worker, waits for the next step, and no longer."""
    worker().verify()
    clock.forward(passed)
    assert worker().verify().value == "tfa-2"
    assert slept == [30 - passed]
    assert len(set(mbanq.codes)) == 2


@given(pauses=st.lists(st.floats(0, 90), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_code_is_sent_twice(worker, mbanq, clock, slept, pauses):
    """However verifications fall: each code that leaves is a later step's, and nobody sleeps longer than one step."""
    before = len(mbanq.codes)
    for pause in pauses:
        clock.forward(pause)
        with suppress(TokenEndpointUnavailable):
            worker().verify()
    assert len(set(mbanq.codes[before:])) == len(mbanq.codes[before:])
    assert all(0 < seconds <= 30 for seconds in slept)


@pytest.mark.parametrize("behind", [5, 29, 45, 300, 7200])
def test_a_clock_that_is_behind_costs_one_code(worker, mbanq, behind):
    """The first code is refused; the second is of the bank's own time, which its refusal told."""
    mbanq.ahead = timedelta(seconds=behind)
    assert worker().verify().value == "tfa-1"
    assert len(mbanq.codes) <= 2


@pytest.mark.parametrize("ahead", [29, 61, 300])
def test_a_clock_that_is_ahead_costs_one_code(worker, mbanq, ahead):
    """As does one that is behind."""
    mbanq.ahead = -timedelta(seconds=ahead)
    assert worker().verify().value == "tfa-1"
    assert len(mbanq.codes) == 2


def test_a_code_that_a_person_has_used_costs_one_more(worker, mbanq, clock, slept):
    """Who has logged in by hand with this step's code makes it worthless: the next one is awaited, and sent."""
    mbanq.used.add(code_at(clock()))
    assert worker().verify().value == "tfa-2"
    assert slept == [30]


def test_without_the_banks_time_the_next_step_is_ours(worker, mbanq, clock, slept):
    """A refusal that tells no time leaves our own clock to go by."""
    mbanq.tells_time = False
    mbanq.used.add(code_at(clock()))
    assert worker().verify().value == "tfa-2"
    assert slept == [30]


def test_a_wrong_secret_costs_two_codes_in_all(worker, source, mbanq):
    """After the repetition it is the secret that is wrong, or the clock: told once, and then nobody tries."""
    for _ in range(3):
        with pytest.raises(CodeRefused, match="totp_secret"):
            source(worker(b"another secret")).get()
    assert len(mbanq.codes) == 2


@pytest.mark.parametrize("answer", [httpx.Response(503), httpx.Response(429), httpx.ReadTimeout("x")], ids=repr)
def test_an_outage_is_no_refused_code(worker, mbanq, answer):
    """It is raised as what it is, and no second code is spent on it."""
    mbanq.failing = [answer]
    with pytest.raises(TokenEndpointUnavailable):
        worker().verify()
    assert len(mbanq.codes) == 1


def test_where_every_code_is_used_it_is_tried_again_later(worker, mbanq, clock, slept):
    """Other workers may have used this step and the next: after one wait the task is retried."""
    for step in range(2):
        worker().codes.claim_step("anna", int(clock().timestamp()) // 30 + step)
    with pytest.raises(TokenEndpointUnavailable) as used:
        worker().verify()
    assert (used.value.remedy, used.value.retry_at) == ("retry", clock() + timedelta(seconds=30))
    assert (slept, mbanq.asked) == ([30], [])


def test_an_access_token_that_is_refused_costs_no_code(worker, mbanq, mint, clock):
    """A 401 is the login's: it is renewed once, and the same code is sent, since the bank has not looked at it."""
    mbanq.access_token = "tok-2"
    factor = worker()
    factor.login.get()
    clock.forward(90)
    assert factor.verify().value == "tfa-1"
    assert len(mbanq.codes) == 2
    assert len(set(mbanq.codes)) == 1
    assert len(mint.asked) == 2


# By a person


@pytest.fixture
def by_person(worker):
    return lambda way="EMAIL": worker(None, way)


def due(factor: SecondFactor) -> SecondFactorDue:
    with pytest.raises(SecondFactorDue) as raised:
        factor.verify()
    return raised.value


def until(clock) -> datetime:
    return clock() + FIVE_MINUTES


@pytest.mark.parametrize(("way", "meant"), [("", "EMAIL"), ("EMAIL", "EMAIL"), ("SMS", "SMS")])
def test_the_first_task_has_the_bank_send_a_code(by_person, mbanq, clock, way, meant):
    """And is parked: it looks again half a minute later, and says what it waits for and how to hand it in."""
    error = due(by_person(way))
    assert mbanq.asked == [("/v1/twofactor", {"deliveryMethod": meant, "extendedToken": False})]
    assert (type(error), error.remedy) == (TaskParked, "park")
    assert error.retry_at == clock() + timedelta(seconds=30)
    for words in (f"a code by {meant} is awaited since 2026-03-01 12:00 UTC", "airflow nostro code c1", "totp_secret"):
        assert words in str(error)


def test_who_comes_later_only_waits(by_person, mbanq, clock):
    """However many tasks wait, and however often they look: one code is sent, and the wait counts from its start."""
    for _ in range(10):
        assert "2026-03-01 12:00 UTC" in str(due(by_person()))
        clock.forward(30)
    assert mbanq.sendings == 1


def test_the_code_that_was_handed_in_is_used(by_person, mbanq, clock):
    """Once, by the task that comes next, in the way it was sent; then nobody waits any more."""
    due(by_person("SMS"))
    factor = by_person("SMS")
    factor.codes.hand_in("anna", "29GZT", until(clock))
    assert factor.verify().value == "tfa-1"
    assert mbanq.asked[-1] == ("/v1/twofactor/validate", {"token": "29GZT", "deliveryMethod": "SMS"})
    assert factor.codes.awaited("anna") is None
    due(by_person("SMS"))
    assert mbanq.sendings == 2


def test_a_wrong_code_parks_again(by_person, mbanq, clock):
    """It is not tried twice, no other one is sent for it, and the right one still counts."""
    due(by_person())
    factor = by_person()
    factor.codes.hand_in("anna", "WRONG", until(clock))
    error = due(factor)
    assert (error.remedy, error.retry_at) == ("park", clock() + timedelta(seconds=30))
    assert "refused the one that was handed in" in str(error)
    due(by_person())
    assert (mbanq.codes, mbanq.sendings) == (["WRONG"], 1)
    factor.codes.hand_in("anna", "29GZT", until(clock))
    assert by_person().verify().value == "tfa-1"


def test_after_a_day_a_person_is_asked_for(by_person, mbanq, clock):
    """The task fails then, and is not parked for ever; a code that comes after all still serves."""
    due(by_person())
    clock.forward(86_399)
    assert due(by_person()).remedy == "park"
    clock.forward(1)
    error = due(by_person())
    assert (type(error), error.remedy, error.retry_at) == (SecondFactorDue, "ask", None)
    assert "nobody has handed in the code since 2026-03-01 12:00 UTC" in str(error)
    assert mbanq.sendings == 1
    factor = by_person()
    factor.codes.hand_in("anna", "29GZT", until(clock))
    assert factor.verify().value == "tfa-1"


def test_a_code_that_is_due_is_no_failure_of_the_login(by_person, source, clock):
    """It is not remembered as one: the next task that looks finds the code and goes on at once."""
    waiting = source(by_person())
    with pytest.raises(TaskParked):
        waiting.get()
    assert waiting.cache.failures.last(("tfa",)) is None
    waiting.cache.codes.hand_in("anna", "29GZT", until(clock))
    assert waiting.get().value == "tfa-1"


@pytest.mark.parametrize(
    ("body", "minutes"),
    [
        ({"requestTime": moment(datetime(2026, 3, 1, 5)), "expirationTime": moment(datetime(2026, 3, 1, 5, 10))}, 10),
        ({"requestTime": moment(datetime(2026, 3, 1, 5)), "expirationTime": moment(datetime(2026, 3, 1, 4))}, 1),
        ({"requestTime": moment(datetime(2026, 3, 1, 5)), "expirationTime": moment(datetime(2026, 3, 9))}, 60),
        *((body, 5) for body in ({}, {"requestTime": "x", "expirationTime": None}, {"expirationTime": {"date": [1]}})),
    ],
)
def test_a_code_is_kept_as_long_as_it_is_good(by_person, mbanq, clock, body, minutes):
    """From requestTime to expirationTime, in whatever zone, within reason; five minutes if they say nothing."""
    mbanq.failing = [httpx.Response(200, json=body)]
    factor = by_person()
    assert factor.send_code() == clock() + timedelta(minutes=minutes)
    assert factor.codes.awaited("anna").sent_until == clock() + timedelta(minutes=minutes)


def test_to_die_while_the_code_is_sent_for_sends_no_second_one(by_person, mbanq):
    """It may be on its way: those who come later wait, and a person can have another one sent."""
    mbanq.failing = [httpx.ReadTimeout("x")]
    with pytest.raises(TokenEndpointUnavailable):
        by_person().verify()
    assert due(by_person()).remedy == "park"
    assert mbanq.sendings == 1
    by_person().send_code()
    assert mbanq.sendings == 2


@pytest.mark.parametrize("answer", [httpx.ConnectError("x"), httpx.Response(429)], ids=repr)
def test_a_code_that_was_surely_not_sent_is_sent_for_again(by_person, mbanq, answer):
    """Nobody waits for what is not on its way."""
    mbanq.failing = [answer]
    with pytest.raises(TokenEndpointUnavailable):
        by_person().verify()
    due(by_person())
    assert mbanq.sendings == 2


@pytest.mark.parametrize(
    "error",
    [
        filled(LeaseTimeout),
        filled(StoreUnavailable),
        filled(CredentialsRefused),
        filled(TokenEndpointUnavailable, acted=True),
        filled(UnexpectedAnswer),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_login_that_fails_leaves_nobody_waiting_for_a_code(by_person, mbanq, mint, clock, error):
    """Without an access token no code was sent for: once the login works, the next task has one sent."""
    mint.fails = error
    with pytest.raises(type(error)):
        by_person().verify()
    mint.fails = None
    clock.forward(60)
    factor = by_person()
    factor.login.allow_one_try()
    due(factor)
    assert mbanq.sendings == 1
