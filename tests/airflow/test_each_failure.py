"""Every kind of failure in a real run, and what Airflow makes of it: the README's table, row by row."""

import sqlite3
from contextlib import closing

import pytest
import readme
from failing import CASES, CODE_DUE, PAUSE, Case, Play, requests

from nostro import errors
from nostro_demo.process import wait_until
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them

ROWS = readme.rows()
IN_TABLE = [case for case in CASES if case.error in ROWS]
BY_OWN_DELAY = [case for case in IN_TABLE if ROWS[case.error].by_own_delay]
AT_THE_BANKS_TIME = [case for case in IN_TABLE if ROWS[case.error].at_the_banks_time]


def test_each_row_of_the_table_has_a_case_and_each_case_a_row():
    """The table gives each error the remedy that it has, and says when a task that waits for its next try gets it."""
    assert {case.error for case in CASES} == set(ROWS)
    assert {row.error: row.remedy for row in ROWS.values()} == {row: getattr(errors, row).remedy for row in ROWS}
    waiting = [row for row in ROWS.values() if row.state == "up_for_retry"]
    assert [row.error for row in waiting if row.by_own_delay == row.at_the_banks_time] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_task_is_then_in_the_state_that_the_table_says(case: Case, play: Play):
    """In its first try, though it has three more."""
    assert [(task["state"], task["try_number"], task["max_tries"]) for task in play.at_rest[case]] == [
        (ROWS[case.error].state, 1, 3) for _ in play.at_rest[case]
    ]


@pytest.mark.parametrize("case", [case for case in CASES if case is not CODE_DUE], ids=lambda case: case.name)
def test_its_log_names_the_error(case: Case, play: Play):
    for run_id in play.runs[case]:
        said = f"\n{case.error}: "
        wait_until(said.strip(), lambda said=said, run=run_id: said in play.client.log(case.dag, run, "use"), 30)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_of_tasks_that_fail_at_the_same_time_one_has_asked_the_bank(case: Case, play: Play):
    """None has, where the connection itself says that it would be in vain."""
    assert play.asked[case] == case.asked


@pytest.mark.parametrize("case", BY_OWN_DELAY, ids=lambda case: case.name)
def test_where_the_bank_gave_no_time_a_task_waits_for_its_own_delay(case: Case, play: Play, stage: Stage):
    """Ten minutes, in these tests."""
    assert {task["state"] for task in play.tasks(case)} == {"up_for_retry"}
    query = "SELECT retry_delay_override FROM task_instance WHERE run_id = ?"
    with closing(sqlite3.connect(stage.airflow.home / "airflow.db", timeout=20)) as metadata:
        assert metadata.execute(query, (play.runs[case][0],)).fetchall() == [(None,)]


@pytest.mark.parametrize("case", AT_THE_BANKS_TIME, ids=lambda case: case.name)
def test_a_throttled_task_asks_again_when_the_bank_said_and_in_a_try_of_its_own(case: Case, play: Play):
    """Not after its own ten minutes; and where tasks wait for a login, one of them asks."""
    for run_id in play.runs[case]:
        play.client.wait_for_run(case.dag, run_id, timeout=60)
    assert {(task["state"], task["try_number"]) for task in play.tasks(case)} == {("success", 2)}
    asked = requests(play.banks[case], case.bank)
    at = next(n for n, request in enumerate(asked) if request["status"] == 429)
    again = next(request for request in asked[at + 1 :] if request["path"] == asked[at]["path"])
    # An HTTP date has whole seconds.
    least = PAUSE - 1 if case.name.endswith("date") else PAUSE
    assert least <= again["at"] - asked[at]["at"] < PAUSE + 15
    assert play.banks[case].count(case.bank, "throttled") == 1
