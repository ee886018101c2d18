"""What the README advises: a task that leaves its retries to BankRetryPolicy. Its own delay is longer than any test."""

import os
from datetime import timedelta

from airflow.sdk import BaseHook, Param, dag, get_current_context, task
from cryptography.fernet import Fernet

from nostro.retries import BankRetryPolicy


@dag(
    schedule=None,
    max_active_runs=100,  # those that wait for their next try, too
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10), "retry_policy": BankRetryPolicy()},
    params={"conn_id": Param("", type="string"), "store": Param("", type="string")},
)
def guarded() -> None:
    @task
    def use() -> int:
        params = get_current_context()["params"]
        if params["store"]:  # another one than the workers', for this process alone
            os.environ["AIRFLOW__NOSTRO__STORE"] = params["store"]
            os.environ["AIRFLOW__NOSTRO__SEAL_KEYS"] = Fernet.generate_key().decode()
        return len(BaseHook.get_hook(params["conn_id"]).accounts())

    use()


guarded()
