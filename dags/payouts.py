"""Send one payout: planned by the one who triggers the run, approved by another, sent under an idempotency key."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.bases.sensor import PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException

from nostro.operators.approval import FourEyesApprovalOperator, check_four_eyes
from nostro.retries import BankRetryPolicy


def payout_of(plan: dict):
    from nostro.money import Money
    from nostro.values import Creditor, Payout

    return Payout(
        end_to_end_id=plan["end_to_end_id"],
        amount=Money(int(plan["amount_minor"]), plan["currency"]),
        debtor_account=plan["debtor_account"],
        creditor=Creditor(plan["creditor_name"], bank_reference=plan["creditor_bank_reference"]),
        remittance_information=plan["remittance_information"],
    )


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={
        "conn_id": Param(
            "mangopay_default", type="string", title="Connection", description="The connection to pay from."
        ),
        "end_to_end_id": Param(
            "", type="string", maxLength=35, description="The payout's identity; never use it twice."
        ),
        "amount": Param("", type="string", title="Amount", description="In units of the currency, such as 12.34."),
        "currency": Param(
            "EUR", type="string", title="Currency", minLength=3, maxLength=3, description="ISO 4217, such as EUR."
        ),
        "debtor_account": Param("", type="string", title="Debtor account", description="The wallet that is debited."),
        "creditor_name": Param("", type="string", title="Creditor", description="Who is paid, for the approver."),
        "creditor_bank_reference": Param(
            "",
            type="string",
            title="Creditor's account at the bank",
            description="The bank's id of the creditor's account.",
        ),
        "remittance_information": Param(
            None, type=["null", "string"], maxLength=255, title="Remittance information", description="May stay empty."
        ),
    },
    tags=["nostro"],
    doc_md=__doc__,
)
def payouts() -> None:
    @task
    def plan() -> dict:
        """Refuses here, before anybody is asked to approve, what could never be sent."""
        from airflow.sdk import BaseHook

        from nostro.money import AmountError, from_decimal

        params = dict(get_current_context()["params"])
        for name in ("end_to_end_id", "amount", "debtor_account", "creditor_name", "creditor_bank_reference"):
            if not params[name].strip():
                raise AirflowFailException(f"{name} is empty; fill it in")
        written, params["currency"] = params.pop("amount"), params["currency"].upper()
        try:
            amount = from_decimal(written.strip(), params["currency"])
        except AmountError as error:
            raise AirflowFailException(f"amount '{written}' {params['currency']} is {error}; write 1234.50") from None
        if amount.minor <= 0:
            raise AirflowFailException(f"amount '{written}' is not positive; give the amount to be paid")
        if not hasattr(BaseHook.get_hook(params["conn_id"]), "submit_payout"):
            raise AirflowFailException(f"conn_id '{params['conn_id']}' is of a bank that takes no payouts here")
        # As text: an 18-digit asset's minor units are beyond what XCom takes for a number.
        return {
            **params,
            "remittance_information": params["remittance_information"] or "",
            "amount_minor": str(amount.minor),
        }

    approve = FourEyesApprovalOperator(
        task_id="approve",
        subject="Payout {{ params.end_to_end_id }}: {{ params.amount }} {{ params.currency }}",
        body="From `{{ params.debtor_account }}` over `{{ params.conn_id }}` to {{ params.creditor_name }} "
        "(`{{ params.creditor_bank_reference }}`). {{ params.remittance_information or '' }}\n\n"
        "Made by {{ dag_run.triggering_user_name }}: only another person can approve it.",
        response_timeout=timedelta(days=1),
    )

    @task(retries=3, retry_delay=timedelta(minutes=1), retry_policy=BankRetryPolicy())
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
