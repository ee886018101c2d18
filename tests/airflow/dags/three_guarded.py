"""The same as `guarded`, in three mapped tasks that run at the same time."""

from datetime import timedelta

from airflow.sdk import BaseHook, Param, dag, get_current_context, task

from nostro.retries import BankRetryPolicy


@dag(
    schedule=None,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10), "retry_policy": BankRetryPolicy()},
    params={"conn_id": Param("", type="string")},
)
def three_guarded() -> None:
    @task
    def use(number: int) -> int:
        return number * len(BaseHook.get_hook(get_current_context()["params"]["conn_id"]).accounts())

    use.expand(number=[1, 2, 3])


three_guarded()
