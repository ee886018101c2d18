"""The README's table of errors, as data: what is promised there is what the tests look at."""

import re
from dataclasses import dataclass

from nostro_demo.airflow import REPOSITORY


@dataclass(frozen=True)
class Row:
    """`state`: what Airflow calls the task's state then. `then`: the whole promise."""

    error: str
    remedy: str
    state: str
    then: str

    @property
    def by_own_delay(self) -> bool:
        return "`retry_delay`" in self.then

    @property
    def at_the_banks_time(self) -> bool:
        return "the bank gave" in self.then


def rows() -> dict[str, Row]:
    """By the error's name."""
    found = {}
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    table = lines[next(n for n, line in enumerate(lines) if line.startswith("| what happened | error |")) + 2 :]
    for line in table:
        if not line.startswith("|"):
            break
        _, error, remedy, then = (cell.strip() for cell in line.strip("|").split("|"))
        states = re.findall(r"^`(\w+)`", then)
        found[error.strip("`")] = Row(error.strip("`"), remedy, states[0], then)
    return found
