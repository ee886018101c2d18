import os

from nostro import settings

HOME = os.environ["AIRFLOW_HOME"]


def test_defaults_are_the_contracts(monkeypatch):
    """Without a line of configuration the five banks share a SQLite store and a lake in AIRFLOW_HOME."""
    for name in ("CONNECTIONS", "STORE", "SEAL_KEYS", "LAKE"):
        monkeypatch.delenv(f"AIRFLOW__NOSTRO__{name}", raising=False)
    assert settings.connections() == [
        *("mbanq_default", "m2p_default", "mangopay_default", "kunacore_default", "banking_circle_default")
    ]
    assert settings.store() == f"sqlite:///{HOME}/nostro.db"
    assert settings.seal_keys() == []
    assert settings.lake() == f"file://{HOME}/nostro-lake"


def test_lists_are_read_as_people_type_them(monkeypatch):
    """Blanks and trailing commas in a list do no harm."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__CONNECTIONS", " a , b,, c ,")
    monkeypatch.setenv("AIRFLOW__NOSTRO__SEAL_KEYS", "new, old")
    assert settings.connections() == ["a", "b", "c"]
    assert settings.seal_keys() == ["new", "old"]


def test_airflow_home_is_put_into_urls(monkeypatch):
    """{AIRFLOW_HOME} stands for the home of this Airflow."""
    monkeypatch.setenv("AIRFLOW__NOSTRO__STORE", "sqlite:///{AIRFLOW_HOME}/x.db")
    monkeypatch.setenv("AIRFLOW__NOSTRO__LAKE", "file://{AIRFLOW_HOME}/lake/")
    assert settings.store() == f"sqlite:///{HOME}/x.db"
    assert settings.lake() == f"file://{HOME}/lake"
