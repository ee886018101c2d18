"""A task that waits for a person, as our error and as Airflow's."""

import copy
import pickle
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowRescheduleException

from nostro.errors import AuthError, NostroError, SecondFactorDue
from nostro.hooks.parking import TaskParked

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = {"conn_id": "c1", "bank": "Mbanq", "reason": "a code by EMAIL is awaited", "advice": "hand it in"}


@pytest.fixture
def parked():
    return TaskParked(retry_at=AT, **FIELDS)


@pytest.mark.parametrize(
    "kind", [SecondFactorDue, AuthError, NostroError, AirflowRescheduleException, AirflowException]
)
def test_a_parked_task_is_caught_as_either(parked, kind):
    """By who catches nostro's errors, and by Airflow's task runner."""
    with pytest.raises(kind):
        raise parked


def test_a_parked_task_comes_back_when_the_code_is_looked_for(parked):
    """Airflow's date is the error's own, and the remedy is to park."""
    assert (parked.reschedule_date, parked.retry_at, parked.remedy) == (AT, AT, "park")


def test_a_parked_task_says_what_it_waits_for(parked):
    """In the words of the error without Airflow."""
    assert str(parked) == str(SecondFactorDue(retry_at=AT, **FIELDS))
    assert str(parked).startswith("Connection 'c1': Mbanq asks for a second factor and a code by EMAIL is awaited")


def test_a_parked_task_survives_the_way_between_processes(parked):
    """Pickled, copied, or made anew from what Airflow serializes: class, message, fields and date."""
    path, arguments, fields = parked.serialize()
    assert path == "nostro.hooks.parking.TaskParked"
    for again in (pickle.loads(pickle.dumps(parked)), copy.deepcopy(parked), TaskParked(*arguments, **fields)):
        assert type(again) is TaskParked
        assert (str(again), again.fields, again.reschedule_date) == (str(parked), FIELDS, AT)
