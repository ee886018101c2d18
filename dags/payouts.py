"""Send one payout: planned by the one who triggers the run, approved by another, sent under an idempotency key."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.bases.sensor import PokeReturnValue

from nostro.operators.approval import FourEyesApprovalOperator, check_four_eyes

PLAN = "{{ ti.xcom_pull(task_ids='plan') }}"


def payout_of(plan: dict):
    from nostro.money import Money
    from nostro.values import Creditor, Payout

    return Payout(
        end_to_end_id=plan["end_to_end_id"],
        amount=Money(plan["amount_minor"], plan["currency"]),
        debtor_account=plan["debtor_account"],
        creditor=Creditor(plan["creditor_name"], bank_reference=plan["creditor_bank_reference"]),
        remittance_information=plan["remittance_information"],
    )


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={
        "conn_id": Param("mangopay_default", type="string", description="The connection to pay from."),
        "end_to_end_id": Param(
            "", type="string", maxLength=35, description="The payout's identity; never use it twice."
        ),
        "amount": Param("", type="string", description="In units of the currency, such as 12.34."),
        "currency": Param("EUR", type="string", minLength=3, maxLength=3),
        "debtor_account": Param("", type="string", description="The wallet that is debited."),
        "creditor_name": Param("", type="string"),
        "creditor_bank_reference": Param("", type="string", description="The bank's id of the creditor's account."),
        "remittance_information": Param("", type="string", maxLength=255),
    },
    tags=["nostro"],
    doc_md=__doc__,
)
def payouts() -> None:
    @task
    def plan() -> dict:
        from nostro.money import from_decimal

        params = dict(get_current_context()["params"])
        for name in ("end_to_end_id", "amount", "debtor_account", "creditor_name", "creditor_bank_reference"):
            if not params[name].strip():
                raise ValueError(f"{name} is empty; fill it in")
        amount = from_decimal(params.pop("amount"), params["currency"])
        if amount.minor <= 0:
            raise ValueError("amount is not positive; give the amount to be paid")
        return {**params, "amount_minor": amount.minor}

    approve = FourEyesApprovalOperator(
        task_id="approve",
        subject="Payout {{ params.end_to_end_id }}: {{ params.amount }} {{ params.currency }}",
        body="From `{{ params.debtor_account }}` over `{{ params.conn_id }}` to {{ params.creditor_name }} "
        "(`{{ params.creditor_bank_reference }}`): {{ params.remittance_information }}",
        response_timeout=timedelta(days=1),
    )

    @task(retries=3, retry_delay=timedelta(minutes=1))
    def send(plan: dict, approval: dict) -> dict:
        from dataclasses import asdict

        from airflow.sdk import BaseHook

        check_four_eyes(get_current_context()["dag_run"].triggering_user_name, approval["responded_by_user"])
        return asdict(BaseHook.get_hook(plan["conn_id"]).submit_payout(payout_of(plan)))

    @task.sensor(poke_interval=2, timeout=600)
    def follow(plan: dict) -> PokeReturnValue:
        from dataclasses import asdict

        from airflow.sdk import BaseHook

        report = BaseHook.get_hook(plan["conn_id"]).payout_status(payout_of(plan))
        return PokeReturnValue(report.state not in ("ACCEPTED", "PENDING"), asdict(report))

    planned = plan()
    planned >> approve
    send(planned, approve.output) >> follow(planned)


payouts()
