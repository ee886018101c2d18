"""What nostro adds to Airflow's own start, as ratios measured in one process, and without network."""

import json
import os
import subprocess
import sys

import pytest

from nostro_demo.airflow import REPOSITORY

MEASURE = """
import json, runpy, sys, time, warnings
warnings.simplefilter("ignore")

def seconds(work):
    began = time.process_time()
    work()
    return time.process_time() - began

def airflow():
    import airflow.sdk
    from airflow.sdk import BaseHook, Param, dag, task

def provider():
    import nostro
    from nostro.provider_info import get_provider_info
    get_provider_info()

def forbidden(*args, **kwargs):
    raise OSError("no network while parsing")

times = {"airflow": seconds(airflow), "provider": seconds(provider)}
import socket
socket.socket.connect = socket.create_connection = socket.getaddrinfo = forbidden
for name in sys.argv[1:]:
    times[name] = seconds(lambda: runpy.run_path(name))
print(json.dumps(times))
"""
DAGS = sorted((REPOSITORY / "dags").glob("*.py"))


@pytest.fixture(scope="module")
def times() -> dict[str, float]:
    """The best of three: a ratio of two CPU times in one process does not mind a busy machine much."""
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", MEASURE, *map(str, DAGS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {name: min(run[name] / run["airflow"] for run in runs) for name in runs[0]}


def test_the_provider_adds_next_to_nothing_to_airflows_import(times):
    """50 ms beside an import of some 1.4 s: 3.5 %."""
    assert times["provider"] < 0.035, times


def test_each_dag_parses_quickly_and_without_network(times):
    """150 ms beside an import of some 1.4 s: 10 %. A connection would have raised."""
    assert len(DAGS) >= 3
    for dag in DAGS:
        assert times[str(dag)] < 0.10, times
