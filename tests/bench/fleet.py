"""How many tokens a fleet of processes asks for: from cold, and for each lifetime of a token."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import httpx
from contestants import NOSTRO, PEERS, Bank, Contestant
from tables import Goal, Row, Table, absent, best_of_runs
from timing import fork, in_children

from nostro_demo.sandbox import Sandbox

AT_ONCE = 16
FLEET = 8
SECONDS = 10
CALLS_PER_SECOND = 20
LIFE = 3  # seconds that a token is used: each bank token lives that and its holder's own margin
IDEAL = math.ceil(SECONDS / LIFE)
TOKEN_DELAY = 0.1
BANK = "mangopay"
HEADS = [f"{AT_ONCE} from cold", f"{AT_ONCE} more", "per lifetime", "calls", "failed"]

Work = Callable[[Callable[[], int]], list[int]]
"""Makes the call that it is given, once or again and again, and gives the statuses."""


class Outcome(NamedTuple):
    token_requests: int
    calls: int
    failed: int


def measure(folder: Path) -> Table:
    with Sandbox(folder / "sandbox.log", seed=7) as sandbox:
        fields = sandbox.credentials[BANK]
        return _measure(sandbox, Bank(sandbox.urls[BANK], fields["login"], fields["password"], folder))


def _measure(sandbox: Sandbox, bank: Bank) -> Table:
    """Ours, the best of runs; then each peer once."""
    ours = best_of_runs(lambda: Table("", HEADS, [_measured(NOSTRO, sandbox, bank)]))
    calls = 2 * AT_ONCE + FLEET * SECONDS * CALLS_PER_SECOND
    ideal = Row("floor: one token for all", ["1", "0", "1.0", f"{calls}", "0"])
    peers = [_measured(peer, sandbox, bank) if peer.installed else absent(peer.name, len(HEADS)) for peer in PEERS]
    note = (
        f"Per lifetime: {FLEET} processes with {CALLS_PER_SECOND} calls a second each for {SECONDS} s, tokens used "
        f"for {LIFE} s: {IDEAL} lifetimes. A token request takes {TOKEN_DELAY:g} s."
    )
    return Table("D. Token requests of a fleet", HEADS, [ideal, *ours.rows, *peers], [note])


def _measured(each: Contestant, sandbox: Sandbox, bank: Bank) -> Row:
    place = _as_new(sandbox, bank)
    cold, more = [_run(each, sandbox, place, AT_ONCE, _one_call) for _ in range(2)]
    place = _as_new(sandbox, bank, token_lifetime=LIFE + each.ahead)
    steady = _run(each, sandbox, place, FLEET, _steady_calls)
    per_lifetime = steady.token_requests / IDEAL
    calls, failed = (cold.calls + more.calls + steady.calls), (cold.failed + more.failed + steady.failed)
    goals = [
        Goal(cold.token_requests, 1, "from cold"),
        Goal(per_lifetime, 1, "per lifetime"),
        Goal(failed, 0, "failed"),
    ]
    cells = [f"{cold.token_requests}", f"{more.token_requests}", f"{per_lifetime:.1f}", f"{calls}", f"{failed}"]
    return Row(each.name, cells, goals if each is NOSTRO else ())


def _as_new(sandbox: Sandbox, bank: Bank, **faults: float) -> Bank:
    """The bank without a token, and an empty folder to share."""
    sandbox.reset()
    sandbox.faults({BANK: {"delay_token": TOKEN_DELAY, **faults}})
    return replace(bank, folder=Path(mkdtemp(dir=bank.folder)))


def _run(each: Contestant, sandbox: Sandbox, bank: Bank, count: int, work: Work) -> Outcome:
    """What comes of `count` processes that begin together."""
    before, start = sandbox.count(BANK, "token_requests"), fork.Barrier(count)
    found = in_children([partial(_process, each, bank, start, work)] * count)
    statuses = [status for statuses in found for status in statuses]
    failed = sum(status != httpx.codes.OK for status in statuses)
    return Outcome(sandbox.count(BANK, "token_requests") - before, len(statuses), failed)


def _process(each: Contestant, bank: Bank, start: Barrier, work: Work) -> list[int]:
    logging.disable()  # what goes wrong is counted
    driven = each.open(bank)
    start.wait(60)
    return work(lambda: _status(driven.call))


def _one_call(call: Callable[[], int]) -> list[int]:
    return [call()]


def _steady_calls(call: Callable[[], int]) -> list[int]:
    began, statuses = time.monotonic(), []
    while (due := len(statuses) / CALLS_PER_SECOND) < SECONDS:
        time.sleep(max(0.0, began + due - time.monotonic()))
        statuses.append(call())
    return statuses


def _status(call: Callable[[], int]) -> int:
    """The call's status; 0 for an error instead."""
    try:
        return call()
    except Exception:  # noqa: BLE001 (each peer has its own)
        return 0
