"""What Airflow is to do with each of our errors."""

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction

from nostro.errors import (
    AccountLocked,
    AuthError,
    CredentialsRefused,
    LoginsThrottled,
    Rejected,
    SettingError,
    StoreUnavailable,
    TokenEndpointUnavailable,
    Unavailable,
    UserActionPending,
)
from nostro.retries import BankRetryPolicy

NAMED = {"conn_id": "c1", "bank": "B", "host": "https://b", "advice": "x"}
CALL = {"conn_id": "c1", "bank": "B", "operation": "GET /x", "reason": "x", "advice": "x"}
HOPELESS = [
    CredentialsRefused(**NAMED, code="x", fields_to_check="y"),
    AccountLocked(**NAMED),
    SettingError(conn_id="", field="store", reason="x", advice="y"),
    Rejected(**CALL),
    UserActionPending(**CALL),
]
HEALING = [
    TokenEndpointUnavailable(**NAMED, reason="x", acted=True),
    StoreUnavailable(where="x", reason="y", advice="z"),
    Unavailable(**CALL),
]


def decide(error: BaseException):
    return BankRetryPolicy().evaluate(error, 1, 3, None)


@pytest.mark.parametrize("error", HOPELESS, ids=lambda error: type(error).__name__)
def test_what_only_a_person_or_a_change_can_mend_fails_at_once(error):
    """Trying again cannot help, and may lock an account; the reason names the error and no field of it."""
    decision = decide(error)
    assert decision.action is RetryAction.FAIL
    assert decision.reason.startswith(type(error).__name__)
    assert "c1" not in decision.reason


@pytest.mark.parametrize("error", HEALING, ids=lambda error: type(error).__name__)
def test_what_heals_by_itself_goes_by_the_tasks_own_retries(error):
    """As many, and as far apart, as the DAG says."""
    assert decide(error).action is RetryAction.DEFAULT


@pytest.mark.parametrize(("ahead", "least", "most"), [(90, 80, 90), (0, 0, 0), (-3600, 0, 0)])
def test_the_banks_own_time_is_kept(ahead, least, most):
    """What the bank named a time for is tried again then; at once if that is past."""
    error = LoginsThrottled(retry_at=datetime.now(UTC) + timedelta(seconds=ahead), **NAMED, reason="x", acted=False)
    decision = decide(error)
    assert decision.action is RetryAction.RETRY
    assert timedelta(seconds=least) <= decision.retry_delay <= timedelta(seconds=most)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError()], ids=repr)
def test_errors_of_others_are_left_to_airflow(error):
    """A policy for a whole DAG changes nothing for what is not ours."""
    assert decide(error).action is RetryAction.DEFAULT


def test_an_error_of_ours_behind_a_tasks_own_counts():
    """Tasks wrap errors in their own words."""
    wrapped = RuntimeError("statements of c1")
    wrapped.__cause__ = ValueError()
    wrapped.__cause__.__cause__ = HOPELESS[0]
    assert decide(wrapped).action is RetryAction.FAIL


def test_an_error_that_was_only_being_handled_does_not_count():
    """What a task raised after it had dealt with ours is its own matter."""
    handled = ValueError()
    handled.__context__ = HOPELESS[0]
    assert decide(handled).action is RetryAction.DEFAULT


def test_who_asks_is_answered_by_remedy_alone():
    """An error that asks a person in one case, as after a day of waiting for a code, is judged by that case."""
    patient, tired = (AuthError(reason="x") for _ in range(2))
    patient.remedy, tired.remedy = "retry", "ask"
    assert (decide(patient).action, decide(tired).action) == (RetryAction.DEFAULT, RetryAction.FAIL)


def test_the_policy_survives_the_serialized_dag():
    """The scheduler keeps it as JSON, workers may pickle it."""
    policy = BankRetryPolicy()
    assert type(BankRetryPolicy.deserialize(policy.serialize())) is BankRetryPolicy
    assert type(pickle.loads(pickle.dumps(policy))) is BankRetryPolicy
