"""A second factor by e-mail: tasks are parked until a person has handed in the code."""

import sqlite3
from contextlib import closing

import pytest
from command_line import nostro, standing
from failing import CODE_DUE, Play
from leaks import credentials_of, places, tokens_of

from nostro_demo.process import wait_until
from nostro_demo.sandbox import Sandbox
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them


@pytest.fixture
def parked(play: Play, stage: Stage) -> Sandbox:
    """The bank whose code is awaited, once each of the three tasks has come back for it, and waits again."""
    run_id = play.runs[CODE_DUE][0]
    wait_until("each task has come back, and waits again", lambda: min(reschedules(stage, run_id)) >= 2, 120)
    wait_until("all wait", lambda: states(play) == {("up_for_reschedule", 1)}, 60)
    return play.banks[CODE_DUE]


def test_a_wrong_code_leaves_them_waiting(parked: Sandbox, stage: Stage):
    said = nostro(stage, "code", CODE_DUE.conn_id, typed="wrong\n")
    assert said.status == 1, said
    assert "asks for a second factor and refused the one that was handed in" in said.err
    assert standing(stage, CODE_DUE.conn_id) == "waiting"


def test_tasks_that_wait_for_a_code_go_on_in_the_same_try_once_it_is_handed_in(
    parked: Sandbox, play: Play, stage: Stage
):
    """Three mapped tasks, for one code that the bank has sent once. It is found nowhere afterwards, nor is a token."""
    (sent,) = parked.truth()["mbanq"]["one_time_passwords"]
    validations = parked.count("mbanq", "validations")

    said = nostro(stage, "code", CODE_DUE.conn_id, typed=f"{sent['token']}\n", level="DEBUG")
    assert (said.status, "The bank has taken the code" in said.out) == (0, True), said
    assert sent["token"] not in said.out + said.err
    play.client.wait_for_run(CODE_DUE.dag, play.runs[CODE_DUE][0], timeout=90)

    assert states(play) == {("success", 1)}
    assert len(parked.truth()["mbanq"]["one_time_passwords"]) == 1
    assert parked.count("mbanq", "validations") == validations + 1
    assert parked.count("mbanq", "token_requests") == 1
    assert places(stage, {sent["token"]} | tokens_of(stage) | credentials_of(parked)) == []


def states(play: Play) -> set[tuple[str, int]]:
    """Of the three tasks, each with the number of its try."""
    return {(task["state"], task["try_number"]) for task in play.tasks(CODE_DUE)}


def reschedules(stage: Stage, run_id: str) -> list[int]:
    """How many times each task of a run has given its slot back."""
    query = "SELECT count(*) FROM task_reschedule JOIN task_instance ON task_instance.id = ti_id WHERE run_id = ?"
    with closing(sqlite3.connect(stage.airflow.home / "airflow.db", timeout=20)) as metadata:
        return [row[0] for row in metadata.execute(f"{query} GROUP BY ti_id", (run_id,))]
