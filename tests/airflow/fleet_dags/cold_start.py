"""Many tasks that find no token: 40 for each of nostro's connections, one bank's after the other's.

So all slots of all workers want the same bank's token at the same time.
"""

from airflow.sdk import BaseHook, dag, task

from nostro import settings

TASKS_PER_CONNECTION = 40


@dag(schedule=None, default_args={"retries": 0}, max_active_tasks=32)
def cold_start() -> None:
    @task
    def read(conn_id: str) -> int:
        return len(BaseHook.get_hook(conn_id).accounts())

    read.expand(conn_id=[conn_id for conn_id in settings.connections() for _ in range(TASKS_PER_CONNECTION)])


cold_start()
