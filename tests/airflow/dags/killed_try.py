"""Logs in and is killed; its second try, another process, goes on."""

import os
import signal
from datetime import timedelta

from airflow.sdk import BaseHook, dag, get_current_context, task


@dag(schedule=None, params={"conn_id": ""})
def killed_try() -> None:
    @task(retries=1, retry_delay=timedelta(seconds=2))
    def use() -> int:
        context = get_current_context()
        hook = BaseHook.get_hook(context["params"]["conn_id"])
        accounts = len(hook.accounts())
        if context["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return accounts

    use()


killed_try()
