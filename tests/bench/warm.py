"""A token from this process's memory: what each signed request begins with."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from contestants import NOSTRO, PEERS, Bank, hook
from quick_bank import quick_bank
from tables import Goal, Row, Table, absent
from timing import Figures, Step, paired, ratio

AUTHLIB = "authlib OAuth2Client"
FLOOR = "floor: a dict and a comparison"
SIGNING = "nostro, TokenSource.get()"
MOST = 4.0


def measure(folder: Path) -> Table:
    with quick_bank(folder) as bank:
        return _table(paired(_steps(bank), rounds=60))


def _steps(bank: Bank) -> dict[str, Step]:
    ours, signing = hook(bank), NOSTRO.open(bank)
    steps = {FLOOR: _floor(), SIGNING: signing.token, "nostro, hook.get_token()": ours.get_token}
    for peer in PEERS:
        if peer.installed:
            driven = peer.open(bank)
            driven.call()  # gets the token
            steps[peer.name] = driven.token
    for step in steps.values():
        step()
    return steps


def _floor() -> Step:
    kept = {"identity": ("token", time.time() + 3600)}

    def read(now: Callable[[], float]) -> str | None:
        token, end = kept["identity"]
        return token if now() < end else None

    return partial(read, time.time)


def _table(figures: Figures) -> Table:
    goal = [Goal(ratio(figures, SIGNING, AUTHLIB), MOST, "x authlib")] if AUTHLIB in figures else []
    rows = [
        Row(name, [f"{median(each):.2f}", f"{ratio(figures, name, FLOOR):.1f}"], goal if name == SIGNING else ())
        for name, each in figures.items()
    ]
    rows += [absent(peer.name, 2) for peer in PEERS if not peer.installed]
    notes = [] if goal else ["Not judged: authlib is not installed."]
    return Table("A. A token from warm memory", ["us CPU", "x floor"], rows, notes)
