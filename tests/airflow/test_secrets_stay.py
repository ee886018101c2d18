"""After all runs of this directory, at DEBUG: no secret and no token anywhere it could be read."""

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from nostro_demo.rest import Client
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them


def secrets_of(stage: Stage) -> set[str]:
    """The credentials' secrets, in the forms in which they travel, and every token now in the store."""
    found = {stage.sandbox.pki["passphrase"], *pem_lines(stage.sandbox.pki["private_key"])}
    names = ("secret", "password", "key", "passphrase")
    for fields in stage.sandbox.credentials.values():
        found.add(fields["password"])
        found.add(base64.b64encode(f"{fields['login']}:{fields['password']}".encode()).decode())
        found |= {v for k, v in fields["extra"].items() if isinstance(v, str) and v and any(n in k for n in names)}
    return {secret for secret in found | tokens_of(stage) if len(secret) >= 8}


def pem_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) == 64]


def tokens_of(stage: Stage) -> set[str]:
    fernet = Fernet(stage.airflow.env["AIRFLOW__CORE__FERNET_KEY"])
    with closing(sqlite3.connect(stage.airflow.home / "nostro.db")) as connection:
        sealed = [row[0] for row in connection.execute("SELECT sealed FROM nostro_token")]
    tokens = [json.loads(fernet.decrypt(text))["token"] for text in sealed]
    return {value for token in tokens for value in (token["value"], token["refresh_token"]) if value}


def leaks(stage: Stage, secrets: set[str]) -> list[str]:
    """Where a secret stands: a file below the stage's directory, or a row of the metadata database."""
    own = {stage.directory / "sandbox.json"}  # what the sandbox printed, kept for the user of `make up`
    files = [path for path in stage.directory.rglob("*") if path.is_file() and path not in own]
    found = [f"{path}" for path in files for secret in secrets if secret.encode() in path.read_bytes()]
    return found + [place for place, text in rows(stage.airflow.home / "airflow.db") for s in secrets if s in text]


def rows(database: Path):
    """Each row of each table as text: a long value may be spread over pages of the file."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield f"{database.name}: {table}", " ".join(map(str, row))


def test_no_secret_is_in_logs_xcom_rendered_fields_metadata_or_the_store(stage: Stage, admin: Client):
    """And the same scan finds a leak that is planted."""
    for bank in stage.sandbox.credentials:  # so that each bank's token is there to be looked for
        run_id = admin.trigger("use_connection", {"conn_id": f"{bank}_default"})
        admin.wait_for_run("use_connection", run_id)
    secrets = secrets_of(stage)
    assert len(tokens_of(stage)) >= 5
    logs = [path for path in stage.directory.rglob("*.log") if "nostro.wire" in path.read_text(errors="replace")]
    assert logs, "nothing was logged at DEBUG, so nothing is proved"
    assert leaks(stage, secrets) == []
    admin.wait_for_run("planted_leak", admin.trigger("planted_leak", {}))
    assert any("xcom" in place for place in leaks(stage, secrets))
