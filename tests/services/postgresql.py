"""Databases of their own for tests, on loopback."""

import getpass
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from servers import missing, scratch, serve

from nostro_demo.airflow import free_port

USUAL_PORT = 5432
USER = "postgres"


@contextmanager
def database(name: str = "test") -> Iterator[str]:
    """The SQLAlchemy URL of a new, empty database, which is dropped at the end, whoever is still connected."""
    address = server()
    unique = f"nostro_{name}_{secrets.token_hex(6)}"
    _run(address, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unique)))
    try:
        yield f"postgresql+psycopg://{address}/{unique}"
    finally:
        _run(address, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(unique)))


@cache
def server() -> str:
    """`user@host:port` of a PostgreSQL that lets us make databases; one of our own where none runs."""
    for user in dict.fromkeys((USER, getpass.getuser())):
        usual = f"{user}@127.0.0.1:{USUAL_PORT}"
        if _may_create(usual):
            return usual
    return _start()


def _start() -> str:
    programs = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    initdb = shutil.which("initdb", path=os.pathsep.join([*programs, os.environ.get("PATH", "")]))
    if not initdb:
        missing(f"no PostgreSQL on 127.0.0.1:{USUAL_PORT}, and none installed: apt-get install postgresql")
    directory, port = scratch("postgresql"), free_port()
    as_user = _not_root(directory)
    make = [*as_user, initdb, "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-locale", "--no-sync"]
    data = str(directory / "data")
    subprocess.run([*make, data], check=True, capture_output=True, timeout=60)
    address = f"{USER}@127.0.0.1:{port}"
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [*as_user, str(Path(initdb).with_name("postgres")), "-D", data, *flags]
    serve("postgresql", command, directory, lambda: _may_create(address))
    return address


def _not_root(directory: Path) -> list[str]:
    """What to put before a command of PostgreSQL's, which refuses to run as root; `directory` becomes that user's."""
    if os.geteuid():
        return []
    shutil.chown(directory, USER)
    return ["runuser", "-u", USER, "--"]


def _may_create(address: str) -> bool:
    may = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    try:
        with _connect(address) as connection:
            return bool(connection.execute(may).fetchone()[0])
    except psycopg.OperationalError:
        return False


def _run(address: str, statement: sql.Composed) -> None:
    with _connect(address) as connection:
        connection.execute(statement)


def _connect(address: str) -> psycopg.Connection:
    return psycopg.connect(f"postgresql://{address}/postgres", autocommit=True, connect_timeout=5)
