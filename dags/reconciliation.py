"""Match the ledger with the banks' statements: when a day's statements are all in, or by hand for any range.

The ledger of a connection is `ledger/<conn_id>.csv` in the lake.
"""

from datetime import UTC, date, datetime, timedelta

from airflow.sdk import AssetAll, Param, PartitionedAssetTimetable, dag, get_current_context, task

from nostro import settings
from nostro.assets import statement_asset

CONNECTIONS = settings.connections()


def chosen_days() -> list[date]:
    """The days of this run: the partition's, those of the form, or yesterday."""
    from nostro.lake import days_between

    context = get_current_context()
    key = context["dag_run"].partition_key or str(datetime.now(UTC).date() - timedelta(days=1))
    start, end = (context["params"][name] or key for name in ("start_date", "end_date"))
    return days_between(date.fromisoformat(start), date.fromisoformat(end))


@dag(
    schedule=PartitionedAssetTimetable(assets=AssetAll(*map(statement_asset, CONNECTIONS))),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={
        "start_date": Param(None, type=["null", "string"], format="date", description="First day; empty: yesterday."),
        "end_date": Param(None, type=["null", "string"], format="date", description="Last day; empty: yesterday."),
    },
    tags=["nostro"],
    doc_md=__doc__,
)
def reconciliation() -> None:
    @task(map_index_template="{{ conn_id }}")
    def reconcile(conn_id: str) -> dict:
        from nostro.lake import Lake
        from nostro.reconciliation import ledger_line, match, statement_line

        get_current_context()["conn_id"] = conn_id
        lake, days = Lake(settings.lake()), chosen_days()
        wanted = set(map(str, days))
        entries = [statement_line(row) for row in lake.entries(conn_id, days)]
        ledger = [line for line in map(ledger_line, lake.ledger(conn_id)) if line.booking_date in wanted]
        outcome = match(ledger, entries)
        rows = [found.as_row() for found in outcome.breaks]
        return {"conn_id": conn_id, "entries": len(entries), "matches": len(outcome.matches), "breaks": rows}

    @task
    def report(outcomes: list[dict]) -> str:
        from nostro.report import write

        days = chosen_days()
        return write(settings.lake(), f"{days[0]} to {days[-1]}", list(outcomes))

    report(reconcile.expand(conn_id=CONNECTIONS))


reconciliation()
