"""Four eyes: an approval that the one who triggered the run cannot give."""

from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException


class FourEyesApprovalOperator(ApprovalOperator):
    """Waits for a person to approve or reject; fails if that is the person who triggered the run.

    There is no default answer: without one the task fails when `response_timeout` is over.
    """

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("defaults"):
            raise ValueError("a four-eyes approval has no default answer")
        super().__init__(**kwargs)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        check_four_eyes(context["dag_run"].triggering_user_name, event.get("responded_by_user"))
        return super().execute_complete(context, event)


def check_four_eyes(maker: str | None, checker: Mapping[str, Any] | None) -> None:
    """Fail the task unless `checker` is known and another person than `maker`; names are compared with names."""
    if not maker:
        raise AirflowFailException("Nobody is known to have triggered this run, so nobody else can approve it.")
    if not checker or not checker.get("name"):
        raise AirflowFailException("It is not known who answered this approval.")
    if checker["name"].casefold() == maker.casefold():
        raise AirflowFailException(f"{maker} triggered this run and cannot approve it; another person has to.")
