"""Pull the banks' statements into the lake: each night the day before, by hand any range of days.

One group of tasks per connection of `[nostro] connections`; each ends by publishing its own asset, one partition per
completed day.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronPartitionTimetable, Param, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from nostro import settings
from nostro.assets import statement_asset
from nostro.retries import BankRetryPolicy

CONNECTIONS = settings.connections()
DAY = {"type": ["null", "string"], "format": "date"}


@dag(
    schedule=CronPartitionTimetable("0 6 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "retry_policy": BankRetryPolicy()},
    params={
        "start_date": Param(None, title="From", description="First day; empty: yesterday.", **DAY),
        "end_date": Param(None, title="To", description="Last day; empty: yesterday.", **DAY),
        "connections": Param(
            CONNECTIONS, type="array", examples=CONNECTIONS, title="Banks", description="The connections to pull."
        ),
    },
    tags=["nostro"],
    doc_md=__doc__,
)
def statements() -> None:
    @task
    def list_accounts(conn_id: str) -> list[str]:
        from airflow.sdk import BaseHook

        from nostro.days import days_of_run

        if conn_id not in get_current_context()["params"]["connections"]:
            raise AirflowSkipException(f"{conn_id} is not among the banks chosen for this run")
        days_of_run()  # a wrong range ends the run here, before any bank is asked
        return [account.account_id for account in BaseHook.get_hook(conn_id).accounts()]

    @task(map_index_template="{{ account_id }}", max_active_tis_per_dagrun=4)
    def pull(conn_id: str, account_id: str) -> int:
        from airflow.sdk import BaseHook

        from nostro.days import days_of_run
        from nostro.lake import Lake

        get_current_context()["account_id"] = account_id
        hook, days = BaseHook.get_hook(conn_id), days_of_run()
        entries = hook.statement_entries(account_id, days[0], days[-1])
        return Lake(settings.lake()).replace_statement(hook.conn_type, conn_id, account_id, days, entries)

    @task(trigger_rule="none_failed_min_one_success")
    def publish(conn_id: str, outlet_events) -> None:
        from nostro.days import days_of_run

        today = datetime.now(UTC).date()
        completed = [str(day) for day in days_of_run() if day < today]
        if not completed:
            raise AirflowSkipException("no day of this run is over yet: there is nothing complete to publish")
        outlet_events[statement_asset(conn_id)].add_partitions(completed)

    @task_group
    def statement(conn_id: str) -> None:
        pulled = pull.partial(conn_id=conn_id).expand(account_id=list_accounts(conn_id))
        # Not mapped, and with its own asset alone: each mapped copy would emit all outlets that are declared.
        pulled >> publish.override(outlets=[statement_asset(conn_id)])(conn_id)

    for conn_id in CONNECTIONS:
        statement.override(group_id=conn_id)(conn_id)


statements()
