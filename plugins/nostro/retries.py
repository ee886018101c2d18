"""What Airflow is to do with each of our errors: the one place where retries are decided."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from nostro.errors import NostroError


class BankRetryPolicy(RetryPolicy):
    """For `retry_policy=` of a task, or of a DAG's `default_args`.

    What only a person or a change can mend fails at once; what the bank gave a time for is tried again then; all else
    goes by the task's own `retries` and `retry_delay`. A task that waits for a code never gets here: it is parked by
    the error itself (see TaskParked).
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        error = _ours(exception)
        if error is None:
            return RetryDecision.default()
        name = type(error).__name__
        if error.remedy in ("fail", "ask"):
            return RetryDecision.fail(f"{name}: trying again cannot help")
        if error.retry_at is None:
            return RetryDecision.default()
        delay = max(error.retry_at - datetime.now(UTC), timedelta())
        return RetryDecision.retry(delay, f"{name}: the bank wants to be asked again at {error.retry_at:%H:%M:%S} UTC")

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "BankRetryPolicy":
        return cls()


def _ours(exception: BaseException | None) -> NostroError | None:
    """Our error in `exception`, or behind it where a task has wrapped it in one of its own."""
    while exception is not None:
        if isinstance(exception, NostroError):
            return exception
        exception = exception.__cause__
    return None
