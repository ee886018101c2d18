"""`airflow nostro ...` as a person runs it: in a process of its own, with an Airflow's environment."""

import subprocess
import sys
from dataclasses import dataclass

from nostro_demo.stage import Stage


@dataclass(frozen=True)
class Said:
    """What a command has printed, and how it ended."""

    status: int
    out: str
    err: str


def nostro(stage: Stage, *arguments: str, typed: str = "", level: str = "INFO") -> Said:
    """`typed` is its standard input; `level` is Airflow's logging level, whose lines go to standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "nostro", *arguments],
        env={**stage.airflow.env, "AIRFLOW__LOGGING__LOGGING_LEVEL": level},
        cwd=stage.airflow.home,
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def standings(said: Said) -> dict[str, str]:
    """The table that `airflow nostro status` has printed: connection and state."""
    assert said.status == 0, said
    lines = [[cell.strip() for cell in line.split("|")] for line in said.out.splitlines()]
    return {line[0]: line[1] for line in lines[2:] if line[0]}


def standing(stage: Stage, conn_id: str) -> str:
    """How a connection stands, by `airflow nostro status`."""
    return standings(nostro(stage, "status", conn_id))[conn_id]
