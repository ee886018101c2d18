"""Parking: a task that waits for a person gives its slot back, and burns no try."""

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException

from nostro.errors import SecondFactorDue

log = logging.getLogger(__name__)


class TaskParked(SecondFactorDue, AirflowRescheduleException):
    """SecondFactorDue as Airflow understands it: the task is up for reschedule and comes back at `retry_at`.

    The try is the same then. Outside a task it is an error like any other.
    """

    def __init__(self, **fields: Any) -> None:
        SecondFactorDue.__init__(self, **fields)
        self.reschedule_date = self.retry_at
        log.warning("%s", self)  # Airflow itself says of a task that is rescheduled when, and not why

    def serialize(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """As AirflowException has it: how the scheduler's side would make it anew."""
        return f"{type(self).__module__}.{type(self).__name__}", (), {"retry_at": self.retry_at, **self.fields}
