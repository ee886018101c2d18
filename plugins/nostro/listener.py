"""Airflow ends a task's process without waiting for its threads; a renewal under way is given time to be saved."""

import sys
from typing import Any

from airflow.listeners import hookimpl

_SECONDS = 30.0


@hookimpl
def before_stopping(component: Any) -> None:
    cache = sys.modules.get("nostro.auth.cache")
    if cache is not None:  # else no hook of ours was used in this process
        cache.finish_renewals(_SECONDS)
