import base64
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.banks.mbanq.second_factor import SecondFactor, secret_of_totp, verification_ended
from nostro.connection import BankConnection
from nostro.errors import ConfigurationError

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


class _Endpoint:
    """Only the clock of a token endpoint."""

    def __init__(self, now):
        self.now = now


@given(spent=st.floats(0, 120), wait=st.floats(0, 120))
def test_no_code_is_sent_twice(token_of, spent, wait):
    """RFC 6238 5.2: after a code was taken, the next one is of a later step; nobody waits longer than one step."""
    at = token_of().issued_at
    clock, slept = [at + timedelta(seconds=spent + wait)], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += timedelta(seconds=seconds, microseconds=1)

    factor = SecondFactor(_Endpoint(lambda: clock[0]), None, b"k", sleep=sleep)
    factor._await_next_code(token_of(at=at + timedelta(seconds=spent)))
    step = int((at + timedelta(seconds=spent)).timestamp()) // 30
    assert int(clock[0].timestamp()) // 30 > step or wait < 0
    assert all(0 < seconds <= 30 for seconds in slept)
    assert bool(slept) == (int((at + timedelta(seconds=spent + wait)).timestamp()) // 30 == step)


def test_the_first_code_is_sent_at_once():
    """Without an earlier verification there is nothing to wait for."""
    factor = SecondFactor(_Endpoint(lambda: None), None, b"k", sleep=pytest.fail)
    factor.endpoint.now = lambda: __import__("datetime").datetime(2026, 1, 1)
    factor._await_next_code(None)
