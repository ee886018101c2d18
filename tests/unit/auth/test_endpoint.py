from datetime import UTC, datetime, timedelta

import pytest

from nostro.auth.endpoint import Answer, TokenEndpoint
from nostro.auth.lifetimes import Lifetimes
from nostro.errors import UnexpectedAnswer
from nostro.wire import Line

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDPOINT = TokenEndpoint(Line("c1", "https://bank.example", 30), "B", "the field 'password'", lambda: NOW)


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
    bank = NOW - timedelta(hours=5)
    answer = Answer({}, f"{bank:%a, %d %b %Y %H:%M:%S} GMT")
    token = ENDPOINT.timed("t", int(bank.timestamp()) + 600, answer, Lifetimes(timedelta(hours=1)), refresh_token="r")
    assert (token.issued_at, token.expires_at) == (NOW, NOW + timedelta(minutes=10))
    assert token.refresh_token == "r"


@pytest.mark.parametrize("stated", [True, "soon", [], {}, "NaN"])
def test_a_life_that_is_no_number_is_unexpected(stated):
    """A malformed life is the bank's mistake, said in one sentence that names the connection."""
    with pytest.raises(UnexpectedAnswer, match=r"'c1'.*lifetime"):
        ENDPOINT.timed("t", stated, Answer({}, None), Lifetimes(timedelta(hours=1)))


@pytest.mark.parametrize("date", ["Mon, 01 Jan 2024 00:00:00 +99999999999999999", "x" * 1000])
def test_a_malformed_date_is_no_obstacle(date):
    """A bank's Date header that nobody can read leaves our own clock."""
    token = ENDPOINT.timed("t", 300, Answer({}, date), Lifetimes(timedelta(hours=1)))
    assert token.expires_at == NOW + timedelta(minutes=5)


def test_a_bank_error_of_the_endpoint_says_what_was_called():
    """A bank error's fields hold conn_id, bank, operation, status and request_id, as errors.py promises."""
    assert {"conn_id", "bank", "operation", "status", "request_id"} <= ENDPOINT.unexpected("x").fields.keys()


def test_an_endpoint_shows_no_secret():
    """A token endpoint's repr has neither headers nor tokens in it."""
    endpoint = TokenEndpoint(Line("c1", "https://bank.example", 30, {"X-Key": "hush"}), "B", "x", lambda: NOW)
    assert "hush" not in repr(endpoint)
