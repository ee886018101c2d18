"""Match the ledger with the banks' statements: when a day's statements are all in, or by hand for any range.

The ledger of a connection is `ledger/<conn_id>.csv` in the lake.
"""

from datetime import UTC, datetime

from airflow.sdk import AssetAll, Param, PartitionedAssetTimetable, dag, get_current_context, task

from nostro import settings
from nostro.assets import statement_asset

CONNECTIONS = settings.connections()
DAY = {"type": ["null", "string"], "format": "date"}


@dag(
    schedule=PartitionedAssetTimetable(assets=AssetAll(*map(statement_asset, CONNECTIONS))),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={
        "start_date": Param(None, title="From", description="First day; empty: yesterday.", **DAY),
        "end_date": Param(None, title="To", description="Last day; empty: yesterday.", **DAY),
    },
    tags=["nostro"],
    doc_md=__doc__,
)
def reconciliation() -> None:
    @task(map_index_template="{{ conn_id }}")
    def reconcile(conn_id: str) -> dict:
        from nostro.days import days_of_run
        from nostro.lake import Lake
        from nostro.reconciliation import ledger_line, match, not_pulled, statement_line

        get_current_context()["conn_id"] = conn_id
        lake, days = Lake(settings.lake()), days_of_run()
        wanted, pulled = set(map(str, days)), set(map(str, lake.pulled(conn_id, days)))
        entries = [statement_line(row) for row in lake.entries(conn_id, days)]
        ledger = [line for line in map(ledger_line, lake.ledger(conn_id)) if line.booking_date in wanted]
        outcome = match((line for line in ledger if line.booking_date in pulled), entries)
        unknown = not_pulled(line for line in ledger if line.booking_date not in pulled)
        rows = [found.as_row() for found in (*outcome.breaks, *unknown)]
        return {"conn_id": conn_id, "entries": len(entries), "matches": len(outcome.matches), "breaks": rows}

    @task
    def report(outcomes: list[dict]) -> str:
        from nostro.days import days_of_run
        from nostro.report import write

        days = days_of_run()
        title = f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0])
        return write(settings.lake(), title, list(outcomes))

    report(reconcile.expand(conn_id=CONNECTIONS))


reconciliation()
