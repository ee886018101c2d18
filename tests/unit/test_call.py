from datetime import UTC, datetime, timedelta

import httpx
import pytest

from nostro.errors import (
    OutcomeUnknown,
    Rejected,
    Throttled,
    TokenRefused,
    Unavailable,
    UnexpectedAnswer,
)


def answer(status: int, headers=None, content: bytes = b"{}"):
    return lambda request: httpx.Response(status, headers=headers, content=content)


def fails(error: type[httpx.HTTPError]):
    def raise_it(request: httpx.Request) -> httpx.Response:
        raise error("https://anna:pw@bank.example/?token=hush")

    return raise_it


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, UnexpectedAnswer),
        (400, Rejected),
        (401, TokenRefused),
        (403, Rejected),
        (404, Rejected),
        (409, Rejected),
        (429, Throttled),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_each_status_is_the_error_that_says_what_to_do(caller_of, status, kind):
    """A call that reads ends in the answer's JSON or in one error of the tree, which says what was called."""
    request_id = "3f0e7a52-6f0b-4f57-9a55-0c6f0a3c7b11"
    with pytest.raises(kind) as caught:
        caller_of(answer(status, {"x-request-id": request_id})).get("/v1/x", {"token": "hush"})
    assert type(caught.value) is kind
    assert "GET /v1/x" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.fields["status"] == status
    assert caught.value.fields["request_id"] == request_id


@pytest.mark.parametrize("status", [429, 503])
def test_the_bank_says_when_to_come_again(caller_of, status):
    """Where the bank gives a Retry-After, the error's retry_at is that moment."""
    before = datetime.now(UTC)
    with pytest.raises((Throttled, Unavailable)) as caught:
        caller_of(answer(status, {"Retry-After": "60"})).get("/v1/x")
    assert timedelta(seconds=60) <= caught.value.retry_at - before <= timedelta(seconds=90)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_no_answer_to_a_reading_call_is_to_be_tried_again(caller_of, error):
    """Whatever goes wrong on the way of a call that reads is worth another try."""
    with pytest.raises(Unavailable) as caught:
        caller_of(fails(error)).search("/v1/x", {})
    assert caught.value.remedy == "retry"
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
def test_a_write_without_an_answer_has_an_unknown_outcome(caller_of, error):
    """Once a payout may have left, nobody says that it did not."""
    with pytest.raises(OutcomeUnknown):
        caller_of(fails(error)).write("/payouts", {}, {})


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
def test_a_write_that_never_left_is_to_be_tried_again(caller_of, error):
    """Without a connection nothing was created."""
    with pytest.raises(Unavailable):
        caller_of(fails(error)).write("/payouts", {}, {})


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
def test_a_write_answered_by_someone_else_than_the_bank_has_an_unknown_outcome(caller_of, status):
    """A gateway's answer is not the bank's decision."""
    with pytest.raises(OutcomeUnknown):
        caller_of(answer(status)).write("/payouts", {}, {})


@pytest.mark.parametrize("status", [200, 201, 400, 409, 422])
def test_a_write_that_the_bank_decided_on_is_given_back(caller_of, status):
    """The bank's own decision is for the bank's module to read."""
    assert caller_of(answer(status)).write("/payouts", {}, {}).status_code == status


def test_what_is_no_json_is_unexpected(caller_of):
    """A success that is no JSON is an error of the tree, and does not quote what came."""
    with pytest.raises(UnexpectedAnswer) as caught:
        caller_of(answer(200, content=b"<html>hush</html>")).get("/v1/x")
    assert "hush" not in str(caught.value)


def test_every_bank_error_says_what_was_called(caller_of):
    """A bank error's fields hold conn_id, bank, operation (method and path), status and request_id, as promised."""
    fields = caller_of({}).unexpected("/v1/x", "a row of another shape").fields
    assert {"conn_id", "bank", "operation", "status", "request_id"} <= fields.keys()
