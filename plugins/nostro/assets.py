"""The assets that the DAGs hand on to each other."""

from airflow.sdk import Asset


def statement_asset(conn_id: str) -> Asset:
    """The statements of one connection, partitioned by booking day (2026-01-31)."""
    return Asset(name=f"statements/{conn_id}", uri=f"nostro://statements/{conn_id}")
