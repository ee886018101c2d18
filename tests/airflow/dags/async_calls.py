"""Calls from event loops, an async task's and the triggerer's; each task gives the statuses of its answers."""

import asyncio
from typing import Any

from airflow.sdk import BaseHook, BaseOperator, Context, Param, dag, get_current_context, task
from products_trigger import ProductsTrigger


class AskFromTriggerer(BaseOperator):
    template_fields = ("conn_id",)

    def __init__(self, *, conn_id: str, **more: Any) -> None:
        super().__init__(**more)
        self.conn_id = conn_id

    def execute(self, context: Context) -> None:
        self.defer(trigger=ProductsTrigger(self.conn_id), method_name="resume")

    def resume(self, context: Context, event: int) -> list[int]:
        return [event]


@dag(schedule=None, default_args={"retries": 0}, params={"conn_id": Param("", type="string")})
def async_calls() -> None:
    @task
    async def ask() -> list[int]:
        conn_id = get_current_context()["params"]["conn_id"]
        return await asyncio.gather(*(status(conn_id) for _ in range(5)))

    async def status(conn_id: str) -> int:
        """By a hook of its own, so that five talk to Airflow and to the store at the same time."""
        hook = await BaseHook.aget_hook(conn_id)
        async with await hook.get_async_conn() as client:
            return (await client.get("/v1/products/")).status_code

    ask()
    AskFromTriggerer(task_id="defer", conn_id="{{ params.conn_id }}")


async_calls()
