"""What nobody should write: shows that the scan for secrets finds a leak."""

from airflow.sdk import BaseHook, dag, task


@dag(schedule=None)
def planted_leak() -> None:
    @task
    def leak() -> str:
        return BaseHook.get_hook("m2p_default").get_token().value

    leak()


planted_leak()
