"""`make bench`: each figure beside its peers and its floor. `make bench TABLES='warm cold'` prints these only.

A goal is missed when it is missed in three runs in a row; the exit status is 1 then.
"""

import base64
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path

# Before anything imports Airflow, which reads them once.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="nostro-bench-")
os.environ["AIRFLOW__CORE__FERNET_KEY"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

import cold
import fleet
import signed
import warm
from contestants import PEERS
from tables import RUNS, Table, best_of_runs
from timing import in_child

HOME = Path(os.environ["AIRFLOW_HOME"])
TABLES: dict[str, Callable[[Path], Table]] = {
    "warm": warm.measure,
    "signed": signed.measure,
    "cold": cold.measure,
    "fleet": fleet.measure,
}
LEFT_OUT = (
    "not installed: dlt and singer-sdk (many packages for one class each), airbyte-cdk (conflicts with Airflow's)"
)


def main() -> int:
    wanted = sys.argv[1:] or list(TABLES)
    if unknown := set(wanted) - set(TABLES):
        print(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}", file=sys.stderr)
        return 2
    print(_machine(), _versions(), LEFT_OUT, sep="\n", flush=True)
    missed = False
    for name in wanted:
        measure = partial(_measured, TABLES[name])
        table = measure() if name == "fleet" else best_of_runs(measure)  # the fleet repeats its own part alone
        print(f"\n{table}", flush=True)
        missed = missed or table.excess > 0
    print(f"\nA goal is missed when it is missed in {RUNS} runs in a row; the best run is shown.")
    return int(missed)


def _measured(measure: Callable[[Path], Table]) -> Table:
    """In a folder and a process of its own: it finds no token, no client and no cache of another measurement."""
    return in_child(partial(measure, Path(tempfile.mkdtemp(dir=HOME))))


def _machine() -> str:
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{os.cpu_count()} cores, {platform.machine()}, {load}, Python {platform.python_version()}"


def _versions() -> str:
    ours = ("apache-airflow", "httpx", "SQLAlchemy", "cryptography")
    versions = [f"{name} {metadata.version(name)}" for name in ours]
    peers = [version for peer in PEERS if peer.installed for version in peer.versions]
    return ", ".join(dict.fromkeys(versions + peers))


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
