"""A trigger as the README has it: it carries a connection's id, and asks the bank from the triggerer's event loop."""

from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseHook
from airflow.triggers.base import BaseTrigger, TriggerEvent


class ProductsTrigger(BaseTrigger):
    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "products_trigger.ProductsTrigger", {"conn_id": self.conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        hook = await BaseHook.aget_hook(self.conn_id)
        async with await hook.get_async_conn() as client:
            answer = await client.get("/v1/products/")
        yield TriggerEvent(answer.status_code)
