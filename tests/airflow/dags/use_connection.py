"""What a DAG author writes: a hook by the connection's id, and one call that logs in."""

from airflow.sdk import Param, dag, get_current_context, task


@dag(params={"conn_id": Param("", type="string")}, default_args={"retries": 0})
def use_connection() -> None:
    @task
    def count_accounts() -> int:
        from airflow.sdk import BaseHook

        return len(BaseHook.get_hook(get_current_context()["params"]["conn_id"]).accounts())

    count_accounts()


use_connection()
