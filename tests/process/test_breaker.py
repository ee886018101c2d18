"""What the bank said no to is not asked again by anybody, until something has changed."""

import time

import pytest
from airflow.sdk import BaseHook
from workers import at_once, attempt, banks_and_stores, outcome_of, token, token_and_read, token_requests_at

from nostro.errors import CredentialsRefused, LoginsThrottled

fleet = pytest.mark.xdist_group("fleet")

RETRY_AFTER = 7


def connection_test(conn_id: str) -> tuple[bool, str]:
    return BaseHook.get_hook(conn_id).test_connection()


def allow_one_try(conn_id: str) -> bool:
    return BaseHook.get_hook(conn_id).access.allow_one_try()


@fleet
@pytest.mark.parametrize(("bank", "store"), banks_and_stores("m2p"), indirect=["store"])
def test_fifty_processes_with_a_wrong_password_are_one_refused_login(bank, store, set_connection, sandbox):
    """Banks lock users after a few: one asks, the other 49 are told when that was."""
    conn_id = set_connection(bank, password="wrong")
    sandbox.faults({bank: {"delay_token": 1}})
    found = at_once(50, lambda: token(conn_id))
    assert {type(error) for error in found} == {CredentialsRefused}, found
    assert sum(error.held_since is not None for error in found) == 49
    assert sandbox.count(bank, "token_requests") == 1
    assert sandbox.count(bank, "refused_logins") == 1


def test_a_corrected_connection_works_at_once_and_the_wrong_one_is_never_tried_again(store, set_connection, sandbox):
    conn_id = set_connection("m2p", password="wrong")
    assert isinstance(outcome_of(lambda: token(conn_id)), CredentialsRefused)
    set_connection("m2p")
    assert isinstance(outcome_of(lambda: token_and_read(conn_id)), str)
    assert sandbox.count("m2p", "token_requests") == 2
    set_connection("m2p", password="wrong")
    held = outcome_of(lambda: token(conn_id))
    assert isinstance(held, CredentialsRefused)
    assert held.held_since
    set_connection("m2p")
    assert isinstance(outcome_of(lambda: token_and_read(conn_id)), str)
    assert sandbox.count("m2p", "token_requests") == 2


def test_one_try_is_one_try_for_the_whole_fleet(store, set_connection, sandbox):
    conn_id = set_connection("m2p", password="wrong")
    assert isinstance(outcome_of(lambda: token(conn_id)), CredentialsRefused)
    assert outcome_of(lambda: allow_one_try(conn_id)) is True
    sandbox.faults({"m2p": {"delay_token": 1}})
    found = at_once(10, lambda: token(conn_id))
    assert {type(error) for error in found} == {CredentialsRefused}, found
    assert sum(error.held_since is not None for error in found) == 9
    assert sandbox.count("m2p", "refused_logins") == 2


def test_test_connection_makes_one_attempt_and_no_more(store, set_connection, sandbox):
    """A person asks: something may have been put right at the bank. The fleet goes on waiting."""
    conn_id = set_connection("m2p", password="wrong")
    assert isinstance(outcome_of(lambda: token(conn_id)), CredentialsRefused)
    for attempts in (2, 3):
        worked, message = outcome_of(lambda: connection_test(conn_id))
        assert not worked
        assert "password" in message
        assert all(isinstance(error, CredentialsRefused) for error in at_once(4, lambda: token(conn_id)))
        assert sandbox.count("m2p", "refused_logins") == attempts


def errors_until_it_works(conn_id: str) -> list[Exception]:
    errors = []
    while isinstance(result := attempt(lambda: token_and_read(conn_id)), Exception):
        errors.append(result)
        time.sleep(0.1)
    return errors


@fleet
@pytest.mark.parametrize(("bank", "store"), [("m2p", "sqlite"), ("kunacore", "postgresql")], indirect=["store"])
def test_a_throttled_login_is_tried_again_when_the_bank_said_and_not_before(bank, store, set_connection, sandbox):
    """Retry-After: 7, met by 12 processes that go on trying all the time: two token requests, seven seconds apart."""
    conn_id = set_connection(bank)
    sandbox.faults({bank: {"throttle_token": {"retry_after": RETRY_AFTER, "times": 1}}})
    found = at_once(12, lambda: errors_until_it_works(conn_id))
    assert len(found) == 12
    errors = [error for worker in found for error in worker]
    assert all(found), "each of them was told"
    assert {type(error) for error in errors} == {LoginsThrottled}
    throttled_at, worked_at = token_requests_at(sandbox, bank)
    for error in errors:
        assert 0 <= error.retry_at.timestamp() - (throttled_at + RETRY_AFTER) < 2
        assert worked_at >= error.retry_at.timestamp()
