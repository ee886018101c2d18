"""Imported by the scheduler or a Celery worker at its start (`airflow_local_settings` in AIRFLOW_HOME/config does it).

LocalExecutor forks its workers from the scheduler, Celery from its own first process, and each task is forked from one
of them: what is imported here no task has to import again. Measured once each on two busy cores, the demo's DAGs took
19 s with it and 33 s without.
"""

import contextlib
import sys
from importlib import import_module

HEAVY = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.hitl",
    "nostro.settings",
    "nostro.lake",
    "nostro.reconciliation",
    "nostro.report",
)

LOCAL_SETTINGS = "from nostro_demo import preload\n\npreload.where_tasks_are_forked()\n"


def where_tasks_are_forked() -> None:
    if {"scheduler", "worker"} & set(sys.argv):
        for module in HEAVY:
            _load(module)
        _load_hooks()


def _load(module: str) -> None:
    # A module that does not import has to fail in the task that needs it, where somebody sees it.
    with contextlib.suppress(Exception):
        import_module(module)


def _load_hooks() -> None:
    with contextlib.suppress(Exception):
        for manifest in import_module("nostro.registry").manifests():
            _load(manifest.hook_class.rpartition(".")[0])
