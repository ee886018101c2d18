"""Where a secret stands that should stand nowhere: in a log, an XCom, a rendered field, a database."""

import base64
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from cryptography.fernet import Fernet

from nostro_demo.sandbox import Sandbox
from nostro_demo.stage import Stage

SHORT = 8  # what is shorter, such as a one-time code, stands in base64 by chance: it counts as a word of its own only


def credentials_of(sandbox: Sandbox) -> set[str]:
    """The credentials' secrets, in the forms in which they travel."""
    found = {sandbox.pki["passphrase"], *pem_lines(sandbox.pki["private_key"])}
    names = ("secret", "password", "key", "passphrase")
    for fields in sandbox.credentials.values():
        found.add(fields["password"])
        found.add(base64.b64encode(f"{fields['login']}:{fields['password']}".encode()).decode())
        found |= {v for k, v in fields["extra"].items() if isinstance(v, str) and v and any(n in k for n in names)}
    return {secret for secret in found if len(secret) >= SHORT}


def pem_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) == 64]


def tokens_of(stage: Stage) -> set[str]:
    """Every token now in the store, refresh tokens too."""
    fernet = Fernet(stage.airflow.env["AIRFLOW__CORE__FERNET_KEY"])
    with closing(sqlite3.connect(stage.airflow.home / "nostro.db", timeout=20)) as connection:
        sealed = [row[0] for row in connection.execute("SELECT sealed FROM nostro_token")]
    tokens = [json.loads(fernet.decrypt(text))["token"] for text in sealed]
    return {value for token in tokens for value in (token["value"], token["refresh_token"]) if value}


def places(stage: Stage, secrets: Iterable[str]) -> list[str]:
    """Where a secret stands: a file below the stage's directory, or a row of the metadata database."""
    wanted = [(secret.encode(), re.compile(rb"\b%s\b" % re.escape(secret.encode()))) for secret in secrets]
    own = {stage.directory / "sandbox.json"}  # what the sandbox printed, kept for the user of `make up`
    files = (
        (f"{path}", path.read_bytes()) for path in stage.directory.rglob("*") if path.is_file() and path not in own
    )
    return [
        place
        for texts in (files, rows(stage.airflow.home / "airflow.db"))
        for place, text in texts
        for secret, word in wanted
        if secret in text and (len(secret) >= SHORT or word.search(text))
    ]


def rows(database: Path) -> Iterator[tuple[str, bytes]]:
    """Each row of each table as text: a long value may be spread over pages of the file."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield f"{database.name}: {table}", " ".join(map(str, row)).encode()
