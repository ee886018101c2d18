import pytest
from airflow.sdk.exceptions import AirflowFailException

from nostro.operators.approval import FourEyesApprovalOperator, check_four_eyes


def test_another_person_may_approve():
    """Four eyes: whoever triggered the run, another person's answer counts."""
    check_four_eyes("anna", {"id": "2", "name": "bert"})


@pytest.mark.parametrize(
    ("maker", "checker"),
    [
        ("anna", {"id": "1", "name": "anna"}),
        ("anna", {"id": "2", "name": "ANNA"}),
        (None, {"id": "2", "name": "bert"}),
        ("", {"id": "2", "name": "bert"}),
        ("anna", None),
        ("anna", {}),
        ("anna", {"id": "2"}),
        ("anna", {"id": "2", "name": ""}),
    ],
)
def test_nobody_approves_alone_or_unknown(maker, checker):
    """The same person, in whatever letters, and anybody unknown fail the task."""
    with pytest.raises(AirflowFailException):
        check_four_eyes(maker, checker)


def test_an_approval_has_no_default_answer():
    """Silence is no approval."""
    with pytest.raises(ValueError, match="default"):
        FourEyesApprovalOperator(task_id="t", subject="s", defaults="Approve")
