"""What an Airflow consists of: its components, and in what their environments differ.

`LOCAL` runs tasks in the scheduler's own processes, on SQLite. `fleet` runs them in Celery workers, which stand for
machines of their own: each has an AIRFLOW_HOME and a host name, and none knows Airflow's secrets or its database.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Component:
    """One `airflow` command; it is ready once its log says `ready`, or as soon as Airflow is healthy."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()  # the environment variables that it is not given
    own_home: bool = False
    ready: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """`env`: what all components get on top of `config`; a component's own wins over it."""

    components: Mapping[str, Component]
    env: Mapping[str, str] = field(default_factory=dict)


# [database] sql_alchemy_connect_args of the API server alone. Airflow 3.3 writes its audit log on the event loop; on
# SQLite it may wait there for a lock whose holder waits for the event loop, until this many seconds have passed (5 by
# default). The call then fails with HTTP 500 before it has done anything, and is made again: by tasks, and by `rest`.
API_SERVER_CONNECT_ARGS: dict[str, object] = {"timeout": 1}

# Logs are read from the disk, on which all components are: nobody needs the log servers on their fixed ports.
_CORE = {
    "api-server": Component(("api-server",)),
    "scheduler": Component(("scheduler", "--skip-serve-logs")),
    "dag-processor": Component(("dag-processor",)),
    "triggerer": Component(("triggerer", "--skip-serve-logs")),
}

LOCAL = Layout(
    _CORE
    | {
        "api-server": Component(
            ("api-server",),
            env={"AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "nostro_demo.layout.API_SERVER_CONNECT_ARGS"},
        )
    }
)

WORKERS = ("worker-1", "worker-2")
_CONCURRENCY = 4
_WORKER = "NOSTRO_DEMO_WORKER"

# A Celery worker talks to the execution API, whose tokens come with the tasks.
_SERVER_ONLY = frozenset(
    {
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC",
    }
)


def fleet(*, metadata: str, results: str, broker: str, broker_prefix: str, store: str, seal_key: str) -> Layout:
    """CeleryExecutor. `metadata`, `results` and `store` are URLs of databases, `postgresql+psycopg://…`.

    `broker`: the URL of a Redis, in which every key that is made begins with `broker_prefix`.
    """
    env = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "16",  # twice the fleet's slots, so that no worker waits for the scheduler
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": metadata,  # psycopg is both; by default it would be asyncpg
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{results}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(_CONCURRENCY),
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": broker_prefix,
        "AIRFLOW__NOSTRO__STORE": store,
        "AIRFLOW__NOSTRO__SEAL_KEYS": seal_key,
    }
    return Layout(_CORE | {name: _worker(name) for name in WORKERS}, env)


def _worker(name: str) -> Component:
    return Component(
        ("celery", "worker", "--celery-hostname", name, "--skip-serve-logs", "--without-gossip", "--without-mingle"),
        env={_WORKER: name, "AIRFLOW__CORE__HOSTNAME_CALLABLE": "nostro_demo.layout.worker_name"},
        without=_SERVER_ONLY,
        own_home=True,
        ready=f"celery@{name} ready.",
    )


def worker_name() -> str:
    """[core] hostname_callable of a worker: those of one machine would all have its name."""
    return os.environ[_WORKER]
