"""What the bank last said no to, as the whole fleet remembers it."""

import socket
from datetime import timedelta

import pytest

from nostro.auth.failures import Failure, Failures
from nostro.errors import (
    AccountLocked,
    AddressRefused,
    CodeRefused,
    CredentialsRefused,
    LoginsThrottled,
    PasswordExpired,
    TokenEndpointUnavailable,
    UnexpectedAnswer,
)

NAMED = {"conn_id": "c1", "bank": "B", "host": "https://b"}
UNAVAILABLE = {**NAMED, "reason": "status 500", "acted": True, "advice": "wait"}
FINAL = {
    CredentialsRefused: {**NAMED, "code": "x", "fields_to_check": "y", "status": 401, "bank_time": None},
    CodeRefused: {**NAMED, "code": "x", "fields_to_check": "y", "status": 403, "bank_time": None},
    AccountLocked: {**NAMED, "advice": "ask"},
    PasswordExpired: {**NAMED, "advice": "ask"},
}
ADDRESS = {**NAMED, "code": "x", "advice": "ask"}
UNEXPECTED = {"operation": "a token request", "status": None, "request_id": "-", "reason": "x", **NAMED, "advice": "y"}
ERRORS = {
    **FINAL,
    AddressRefused: ADDRESS,
    TokenEndpointUnavailable: UNAVAILABLE,
    LoginsThrottled: {**UNAVAILABLE, "acted": False},
    UnexpectedAnswer: UNEXPECTED,
}
OLD, NEW = ("old-i",), ("new-i", "old-i")


@pytest.fixture
def open_failures(opened, clock):
    return lambda: Failures(opened(), clock)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_a_failure_is_the_fleets(open_failures, clock, kind):
    """Another process finds the same error, word for word, and when it was."""
    at = clock() + timedelta(seconds=90.5)
    error = kind(retry_at=at, **ERRORS[kind])
    open_failures().remember(OLD, error)
    found = open_failures().last(OLD)
    assert (type(found.error), found.failed_at) == (kind, clock())
    assert (str(found.error), found.error.fields, found.error.retry_at) == (str(error), error.fields, at)


def test_the_last_failure_counts(open_failures, clock):
    """A newer one takes the place of the one before."""
    failures = open_failures()
    for reason in ("first", "second"):
        clock.forward(1)
        failures.remember(OLD, TokenEndpointUnavailable(**{**UNAVAILABLE, "reason": reason}))
    assert failures.last(OLD).error.fields["reason"] == "second"
    assert failures.last(OLD).failed_at == clock()


def test_a_failure_concerns_its_own_credentials_only(open_failures):
    """Other credentials, a corrected password among them, are free to ask."""
    failures = open_failures()
    failures.remember(OLD, AccountLocked(**FINAL[AccountLocked]))
    assert failures.last(("other",)) is None
    assert failures.forget(("other",)) is False


@pytest.mark.parametrize("kind", [AccountLocked, AddressRefused])
def test_a_change_of_keys_forgets_no_failure(open_failures, kind):
    """What was remembered under an older key holds under the new ring, and is forgotten under it."""
    failures = open_failures()
    failures.remember(OLD, kind(**ERRORS[kind]))
    assert isinstance(failures.last(NEW).error, kind)
    assert failures.forget(NEW) is True
    assert failures.last(OLD) is None


def test_to_forget_makes_a_difference_once(open_failures):
    """Who forgets a failure is told whether there was one."""
    failures = open_failures()
    assert failures.forget(OLD) is False
    failures.remember(OLD, AccountLocked(**FINAL[AccountLocked]))
    assert [open_failures().forget(OLD) for _ in range(2)] == [True, False]
    assert failures.last(OLD) is None


def test_a_refused_address_is_this_machines_only(open_failures, monkeypatch):
    """A worker elsewhere may be on the bank's list; this one is not asked for again."""
    failures = open_failures()
    failures.remember(OLD, AddressRefused(**ADDRESS))
    assert isinstance(failures.last(OLD).error, AddressRefused)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert failures.last(OLD) is None


def test_a_refused_address_is_not_forgotten_over_anothers_trouble(open_failures, clock):
    """An outage that another machine meets later does not let this one ask from a refused address before its time."""
    failures = open_failures()
    failures.remember(OLD, AddressRefused(retry_at=clock() + timedelta(minutes=10), **ADDRESS))
    clock.forward(60)
    failures.remember(OLD, TokenEndpointUnavailable(**UNAVAILABLE))
    clock.forward(60)
    assert isinstance(failures.last(OLD).error, AddressRefused)
    assert failures.last(OLD).holds(clock())
    clock.forward(480)
    assert isinstance(failures.last(OLD).error, TokenEndpointUnavailable)


def test_what_is_final_comes_before_what_is_newer(open_failures, clock):
    """A refusal of the credentials holds, whatever else this machine or the fleet has met since."""
    failures = open_failures()
    failures.remember(OLD, AccountLocked(**FINAL[AccountLocked]))
    clock.forward(60)
    failures.remember(OLD, AddressRefused(retry_at=clock() - timedelta(seconds=1), **ADDRESS))
    assert isinstance(failures.last(OLD).error, AccountLocked)


def test_failures_of_long_ago_are_forgotten(open_failures, clock):
    """After three months nobody uses such credentials any more: they go with the next failure."""
    failures = open_failures()
    failures.remember(OLD, AccountLocked(**FINAL[AccountLocked]))
    clock.forward(timedelta(days=89).total_seconds())
    failures.remember(("other",), AccountLocked(**FINAL[AccountLocked]))
    assert failures.last(OLD) is not None
    clock.forward(timedelta(days=1, seconds=1).total_seconds())
    failures.remember(("other",), AccountLocked(**FINAL[AccountLocked]))
    assert failures.last(OLD) is None


@pytest.mark.parametrize("kind", FINAL, ids=lambda kind: kind.__name__)
def test_what_is_final_forbids_for_good(clock, kind):
    """However late, and whoever asks: more of the same gets accounts locked."""
    failure = Failure(kind(**FINAL[kind]), clock())
    assert failure.forbids(clock() + timedelta(days=80), clock() + timedelta(days=80))
    assert failure.holds(clock() + timedelta(days=80))


@pytest.mark.parametrize("kind", [TokenEndpointUnavailable, LoginsThrottled, AddressRefused])
@pytest.mark.parametrize(("after", "forbidden"), [(-60, False), (0, True), (89, True), (90, False), (3600, False)])
def test_the_banks_own_time_is_waited_for(clock, kind, after, forbidden):
    """Until then nobody asks, however long ago they began; from then on anybody may. A clock that is behind the one
    by which the failure was noted tells nothing.
    """
    failure = Failure(kind(retry_at=clock() + timedelta(seconds=90), **ERRORS[kind]), clock())
    now = clock() + timedelta(seconds=after)
    for began in (clock() - timedelta(hours=1), now):
        assert failure.forbids(now, began) is forbidden
    assert failure.holds(now) is forbidden


@pytest.mark.parametrize(("began", "forbidden"), [(-60, True), (0, True), (0.001, False), (60, False)])
def test_an_outage_is_shared_by_those_who_waited_meanwhile(clock, began, forbidden):
    """Who queued for the login while it failed does not make the queue's next request; who comes later may try."""
    failure = Failure(TokenEndpointUnavailable(**UNAVAILABLE), clock())
    now = clock() + timedelta(seconds=90)
    assert failure.forbids(now, clock() + timedelta(seconds=began)) is forbidden
    assert not failure.holds(now)


@pytest.mark.parametrize("kind", [*FINAL, AddressRefused], ids=lambda kind: kind.__name__)
def test_what_is_held_says_since_when_and_the_way_out(clock, kind):
    """The same error again, for the connection that asks now: since when nobody tried, and how to let one try pass."""
    failure = Failure(kind(**ERRORS[kind]), clock())
    held = failure.held("c2")
    assert (type(held), held.held_since) == (kind, clock())
    assert "c1" not in str(held)
    for words in ("'c2'", "2026-03-01 at 12:00:00 UTC", "Test connection", "airflow nostro unlock c2"):
        assert words in str(held)
    assert failure.error.held_since is None


def test_what_heals_by_itself_is_raised_as_it_was(clock):
    """With the bank's own time, and without a word of unlocking."""
    at = clock() + timedelta(seconds=90)
    held = Failure(LoginsThrottled(retry_at=at, **UNAVAILABLE), clock()).held("c2")
    assert (held.retry_at, held.held_since, held.remedy) == (at, None, "retry")
    assert "unlock" not in str(held)
