"""Where workers share no store (`[nostro] store = none`): one task logs in and hands its token on, sealed.

XCom carries ciphertext that only processes with the same `[nostro] seal_keys` open, for this connection only. A mapped
task whose token has ended by the time it runs logs in by itself.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Param, dag, get_current_context, task

from nostro.retries import BankRetryPolicy


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1), "retry_policy": BankRetryPolicy()},
    params={"conn_id": Param("mangopay_default", type="string", title="Connection")},
    tags=["nostro", "example"],
    doc_md=__doc__,
)
def sealed_token() -> None:
    @task
    def log_in() -> str:
        from airflow.sdk import BaseHook

        return BaseHook.get_hook(get_current_context()["params"]["conn_id"]).get_sealed_token()

    @task
    def list_accounts(sealed: str) -> list[str]:
        return [account.account_id for account in hook_of(sealed).accounts()]

    @task(map_index_template="{{ account_id }}", max_active_tis_per_dagrun=4)
    def count_entries(account_id: str, sealed: str) -> int:
        context = get_current_context()
        context["account_id"] = account_id
        today = datetime.now(UTC).date()
        entries = hook_of(sealed).statement_entries(account_id, today - timedelta(days=7), today)
        return sum(1 for _ in entries)

    def hook_of(sealed: str):
        from airflow.sdk import BaseHook

        conn_id = get_current_context()["params"]["conn_id"]
        return BaseHook.get_hook(conn_id, hook_params={"sealed_token": sealed})

    sealed = log_in()
    count_entries.partial(sealed=sealed).expand(account_id=list_accounts(sealed))


sealed_token()
