import pytest
from cryptography.fernet import Fernet

from nostro.database.memory import MemoryDatabase
from nostro.database.postgresql import PostgresqlDatabase
from nostro.database.sqlite import SqliteDatabase
from nostro.errors import SettingError
from nostro.hooks.parking import TaskParked
from nostro.hooks.tokens import token_cache


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", f"sqlite:///{tmp_path / 'nostro.db'}")
    monkeypatch.delenv("AIRFLOW__NOSTRO__SEAL_KEYS", raising=False)


def test_one_cache_for_all_hooks_of_a_process():
    """All hooks of a process share one cache, so that its memory serves them all."""
    assert token_cache() is token_cache()
    assert isinstance(token_cache().database, SqliteDatabase)


def test_airflows_own_key_serves_if_it_is_a_real_one(monkeypatch, keys):
    """Without seal_keys Airflow's Fernet key seals, with them nostro's own do."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", keys[0])
    by_airflows = token_cache().seal
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", keys[1])
    by_own = token_cache().seal
    assert by_airflows.identities(["a"], []) != by_own.identities(["a"], [])


@pytest.mark.parametrize("key", ["", "{FERNET_KEY}", "too-short", " , "])
def test_without_a_real_key_nothing_is_kept_in_clear(monkeypatch, key):
    """A missing key, or Airflow's placeholder, is a clear error with the remedy."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    with pytest.raises(SettingError, match="AIRFLOW__NOSTRO__SEAL_KEYS") as refused:
        token_cache()
    assert refused.value.fields["field"] == "seal_keys"


def test_a_malformed_seal_key_is_refused(monkeypatch):
    """A key of one's own that is malformed is refused, not replaced by Airflow's."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", "hush-hush")
    with pytest.raises(SettingError) as refused:
        token_cache()
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("text", ["none", "NONE", " none "])
def test_none_means_no_shared_store(monkeypatch, text):
    """store = none keeps tokens in the process alone."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", text)
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", Fernet.generate_key().decode())
    assert isinstance(token_cache().database, MemoryDatabase)


@pytest.mark.parametrize("text", ["none", "postgresql://anna@db/nostro"])
def test_airflows_own_key_serves_a_file_only(monkeypatch, keys, text):
    """A worker elsewhere may hold a Fernet key of its own without knowing: beyond one machine nostro's are needed."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", keys[0])
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", text)
    with pytest.raises(SettingError, match="AIRFLOW__NOSTRO__SEAL_KEYS"):
        token_cache()


def test_a_store_of_postgresqls_is_opened_without_a_connection(monkeypatch, keys):
    """What a DAG file does when it is parsed reaches no server."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", "postgresql://anna@nowhere.invalid/nostro")
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", keys[0])
    assert isinstance(token_cache().database, PostgresqlDatabase)


def test_in_a_task_a_code_that_is_due_parks_it():
    """Airflow's own way of waiting without a slot."""
    assert token_cache().due is TaskParked
