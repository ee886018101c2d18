"""nostro's own database, made and shared by many processes."""

import sqlalchemy as sa
from workers import BOUND, at_once, attempt, fork, outcome_of, token

from nostro.database import open_database
from nostro.database.schema import SEAL, TOKEN
from nostro.errors import SealBroken

PROCESSES, THREADS, ROUNDS = 8, 8, 12


def test_a_database_that_is_not_there_yet_is_made_by_all_who_come_at_once(tmp_path):
    """Threads and processes read, make and write a SQLite file together, and none sees it half made."""
    databases = [open_database(f"sqlite:///{tmp_path / f'{n}.db'}") for n in range(ROUNDS)]
    together = fork.Barrier(PROCESSES * THREADS)

    def use(database) -> None:
        database.first(sa.select(TOKEN))
        with database.begin() as connection:
            connection.execute(database.insert(SEAL).values(id=1, check_value="-").on_conflict_do_nothing())

    def use_each() -> list[Exception]:
        errors = []
        for database in databases:
            together.wait(BOUND)
            errors.append(attempt(lambda database=database: use(database)))
        return [error for error in errors if error]

    found = at_once(PROCESSES, use_each, THREADS)
    assert len(found) == PROCESSES * THREADS
    assert [error for errors in found for error in errors] == []


def test_a_store_sealed_with_other_keys_refuses(set_connection, monkeypatch):
    """A worker that holds a Fernet key of its own must not overwrite what the others share."""
    conn_id = set_connection("m2p")
    assert isinstance(outcome_of(lambda: token(conn_id)), str)
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", "YW5vdGhlci1rZXktb2YtdGhpcnR5LXR3by1ieXRlcy0=")
    refused = outcome_of(lambda: token(conn_id))
    assert isinstance(refused, SealBroken)
    assert "seal_keys" in str(refused)
