"""A signed request beside a bare one: what our client adds to httpx."""

from collections.abc import Generator
from functools import partial
from pathlib import Path
from statistics import median

import httpx
from contestants import NOSTRO, PEERS, Bank, client
from quick_bank import quick_bank
from tables import Goal, Row, Table, absent
from timing import Figures, Step, paired, ratio

FLOOR = "floor: bare httpx.Client, static header"
MOST = 1.03
# Peers on requests have another floor; httpx-auth's caches share one place in a process.
ON_HTTPX = [peer for peer in PEERS if peer.name in ("authlib OAuth2Client", "httpx-auth, memory")]
HEADS = ["us CPU", "us over", "x floor"]


class _OneHeader(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = "Bearer token"
        yield request


def measure(folder: Path) -> Table:
    """Without a network, by which the goal is judged, and over real sockets."""
    with quick_bank(folder) as bank:
        steps = _steps(bank)
        sockets = paired(steps, rounds=100, turn=0.01)
    # For good, as this process measures nothing else; at the bottom, so that whatever a client has above it stays.
    httpx.HTTPTransport.handle_request = _answer
    without = paired(steps, rounds=800, turn=0.002)
    judged = Goal(ratio(without, NOSTRO.name, FLOOR), MOST, "x floor")
    rows = [
        *_rows(without, judged),
        *(absent(peer.name, len(HEADS)) for peer in ON_HTTPX if not peer.installed),
        Row("over sockets to a loopback server:", [""] * len(HEADS)),
        *_rows(sockets, None),
    ]
    note = "Judged without a network, an answer ready in the transport: sockets are not quiet enough for 3 in 100."
    return Table("B. A signed request", HEADS, rows, [note])


def _steps(bank: Bank) -> dict[str, Step]:
    clients = {
        FLOOR: client(bank, headers={"Authorization": "Bearer token"}),
        "httpx.Auth that sets one header": client(bank, auth=_OneHeader()),
    }
    for each in [NOSTRO, *ON_HTTPX]:
        if each.installed:
            driven = each.open(bank)
            driven.call()  # gets the token
            assert driven.client is not None
            clients[each.name] = driven.client()
    return {name: partial(each.get, bank.path) for name, each in clients.items()}


def _answer(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
    request.read()
    return httpx.Response(200, headers={"Content-Type": "application/json"}, content=b'{"ok":true}')


def _rows(figures: Figures, judged: Goal | None) -> list[Row]:
    return [Row(name, _cells(figures, name), [judged] if judged and name == NOSTRO.name else ()) for name in figures]


def _cells(figures: Figures, name: str) -> list[str]:
    over = median(mine - bare for mine, bare in zip(figures[name], figures[FLOOR], strict=True))
    return [f"{median(figures[name]):.0f}", f"{over:.1f}", f"{ratio(figures, name, FLOOR):.3f}"]
