"""A fleet from cold: CeleryExecutor on PostgreSQL and Redis, two workers, and still one login per bank."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from postgresql import database
from redis_broker import broker

from nostro import registry
from nostro_demo.layout import WORKERS, fleet
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # a second Airflow beside the others' would slow both down

DAGS = Path(__file__).parent / "fleet_dags"


@pytest.fixture
def fleet_stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        databases = {name: stack.enter_context(database(name)) for name in ("metadata", "results", "store")}
        url, prefix = stack.enter_context(broker())
        seal_key = Fernet.generate_key().decode()
        layout = fleet(**databases, broker=url, broker_prefix=prefix, seal_key=seal_key)
        yield stack.enter_context(Stage(tmp_path / "fleet", layout=layout, dags=DAGS, dag_ids=("cold_start",)))


@pytest.mark.timeout(360)
def test_two_hundred_tasks_on_two_workers_log_in_once_for_each_bank(fleet_stage: Stage):
    """From cold, eight at a time for the same bank's token; of nostro's, the workers share the store and its key."""
    admin = fleet_stage.airflow.client("admin")
    fleet_stage.sandbox.faults({bank: {"delay_token": 1} for bank in registry.BANKS})  # time for others to come
    admin.unpause("cold_start")
    run_id = admin.trigger("cold_start")
    admin.wait_for_run("cold_start", run_id, timeout=200)

    tasks = admin.task_instances("cold_start", run_id)
    assert Counter(task["state"] for task in tasks) == {"success": 200}
    assert {task["hostname"] for task in tasks} == set(WORKERS)
    stats = fleet_stage.sandbox.stats()
    assert {bank: stats[bank]["token_requests"] for bank in registry.BANKS} == dict.fromkeys(registry.BANKS, 1)
    assert {bank: stats[bank]["protocol_errors"] for bank in registry.BANKS} == dict.fromkeys(registry.BANKS, 0)
