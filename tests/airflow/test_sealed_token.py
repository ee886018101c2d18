"""`[nostro] store = none`: the DAG `sealed_token`, whose tasks share nothing but what XCom carries."""

from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from leaks import tokens_of
from runs import connection

from nostro_demo.rest import Client
from nostro_demo.sandbox import Sandbox
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them


@pytest.fixture
def without_store(stage: Stage) -> Iterator[None]:
    """The setting for all tasks: they inherit the environment of the scheduler, which starts their processes."""
    settings = {"AIRFLOW__NOSTRO__STORE": "none", "AIRFLOW__NOSTRO__SEAL_KEYS": Fernet.generate_key().decode()}
    stage.airflow.stop_component("scheduler")
    stage.airflow.env.update(settings)
    stage.airflow.start_component("scheduler")
    yield
    stage.airflow.stop_component("scheduler")
    for name in settings:
        del stage.airflow.env[name]
    stage.airflow.start_component("scheduler")


@pytest.mark.usefixtures("without_store")
def test_without_a_store_one_login_serves_all_tasks_that_its_sealed_token_is_handed_to(
    stage: Stage, admin: Client, fresh_bank: Sandbox
):
    stored = tokens_of(stage)
    admin.put("connections", [connection("sealed_mangopay", "mangopay", fresh_bank.description)])
    admin.unpause("sealed_token")
    run_id = admin.trigger("sealed_token", {"conn_id": "sealed_mangopay"})
    admin.wait_for_run("sealed_token", run_id)

    accounts = fresh_bank.truth()["mangopay"]["accounts"]
    tasks = admin.task_instances("sealed_token", run_id)
    assert len({task["pid"] for task in tasks}) == len(tasks) == 2 + len(accounts)
    assert fresh_bank.count("mangopay", "token_requests") == 1
    assert admin.xcom("sealed_token", run_id, "log_in").startswith("gAAAA")
    assert tokens_of(stage) == stored
