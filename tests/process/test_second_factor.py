"""A second factor for a whole fleet: one code, by machine or by hand, and one verification."""

from airflow.sdk import BaseHook
from workers import at_once, outcome_of, token_and_read

from nostro.errors import SecondFactorDue
from nostro.hooks import state

BY_HAND = {"totp_secret": "", "otp_delivery_method": "EMAIL"}


def stats(sandbox, *names: str) -> list[int]:
    counted = sandbox.stats()["mbanq"]
    return [counted[name] for name in names]


def test_ten_processes_with_totp_send_one_code(store, set_connection, sandbox):
    conn_id = set_connection("mbanq")
    found = at_once(10, lambda: token_and_read(conn_id))
    assert len(set(map(repr, found))) == 1, found
    assert isinstance(found[0], str), found[0]
    assert stats(sandbox, "token_requests", "one_time_passwords", "validations", "refused_codes") == [1, 1, 1, 0]


def last_sent(sandbox) -> str:
    code: str = sandbox.truth()["mbanq"]["one_time_passwords"][-1]["token"]
    return code


def hand_in_what_was_sent(conn_id: str, sandbox) -> None:
    """As a person does it, on another machine than the tasks': the message is there, or is sent now."""
    hook = BaseHook.get_hook(conn_id)
    until = state.have_code_sent(hook)
    state.hand_in(hook, last_sent(sandbox), until)


def test_ten_processes_that_wait_for_a_person_send_one_message(store, set_connection, sandbox):
    """All are parked; after the code was handed in all work, by one verification."""
    conn_id = set_connection("mbanq", extra=BY_HAND)
    for _ in range(2):  # parked tasks come back, and go again
        found = at_once(10, lambda: token_and_read(conn_id))
        assert all(isinstance(error, SecondFactorDue) for error in found), found
        assert {error.remedy for error in found} == {"park"}
        assert all(error.retry_at for error in found)
        assert stats(sandbox, "token_requests", "one_time_passwords", "validations") == [1, 1, 0]
    assert len(sandbox.truth()["mbanq"]["one_time_passwords"]) == 1

    assert outcome_of(lambda: hand_in_what_was_sent(conn_id, sandbox)) is None
    found = at_once(10, lambda: token_and_read(conn_id))
    assert {type(each) for each in found} == {str}, found
    assert stats(sandbox, "token_requests", "validations", "refused_codes") == [1, 1, 0]
    assert len(sandbox.truth()["mbanq"]["one_time_passwords"]) == 1


def put_by(conn_id: str, code: str, sandbox) -> None:
    """As where the bank cannot be reached from: the code waits, sealed, for the next task."""
    hook = BaseHook.get_hook(conn_id)
    factor = hook.access.second_factor
    factor.cache.codes.hand_in(factor.account, code or last_sent(sandbox), state.have_code_sent(hook))


def test_a_code_that_was_put_by_is_used_by_one_of_ten(store, set_connection, sandbox):
    conn_id = set_connection("mbanq", extra=BY_HAND)
    assert isinstance(outcome_of(lambda: token_and_read(conn_id)), SecondFactorDue)
    assert outcome_of(lambda: put_by(conn_id, "", sandbox)) is None
    found = at_once(10, lambda: token_and_read(conn_id))
    assert {type(each) for each in found} == {str}, found
    assert stats(sandbox, "validations", "one_time_passwords", "refused_codes") == [1, 2, 0]


def test_a_wrong_code_is_tried_by_one_of_ten(store, set_connection, sandbox):
    """And is gone then: the others, and whoever comes next, go on waiting."""
    conn_id = set_connection("mbanq", extra=BY_HAND)
    assert isinstance(outcome_of(lambda: token_and_read(conn_id)), SecondFactorDue)
    assert outcome_of(lambda: put_by(conn_id, "WRONG", sandbox)) is None
    found = at_once(10, lambda: token_and_read(conn_id))
    assert all(isinstance(error, SecondFactorDue) for error in found), found
    assert {error.remedy for error in found} == {"park"}
    assert stats(sandbox, "validations", "one_time_passwords", "refused_codes") == [1, 2, 1]
