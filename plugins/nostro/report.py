"""The reconciliation's report: one page to read, self-contained, and its figures as JSON."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from nostro.lake import Lake

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Reconciliation {title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}}
table{{border-collapse:collapse;width:100%;margin:1rem 0}}th,td{{border-bottom:1px solid #ddd;padding:.3rem .6rem;
text-align:left}}td.n,th.n{{text-align:right;font-variant-numeric:tabular-nums}}</style>
<h1>Reconciliation {title}</h1>
<table><tr><th>Connection<th class="n">Entries<th class="n">Matches<th class="n">Breaks</tr>{banks}</table>
<h2>Breaks</h2>
<table><tr><th>Connection<th>Code<th>Account<th>Day<th>Reference<th class="n">Ledger (minor units)
<th class="n">Statement (minor units)<th>Currency</tr>{breaks}</table></html>
"""


def write(lake_url: str, title: str, outcomes: list[dict[str, Any]]) -> str:
    """Write the report on `outcomes` to the lake and point `reports/latest.json` at it; gives the report's path.

    An outcome is {"conn_id": ..., "entries": n, "matches": n, "breaks": [row, ...]}.
    """
    lake = Lake(lake_url)
    by_connection = {outcome["conn_id"]: outcome for outcome in outcomes}
    name = f"reconciliation {title}.html".replace(" ", "-")
    path = lake.write(lake.root / "reports" / name, page(title, by_connection).encode())
    figures = {conn_id: {**o, "breaks": len(o["breaks"])} for conn_id, o in by_connection.items()}
    latest = json.dumps({"report": str(path), "banks": figures}, indent=1)
    lake.write(lake.root / "reports" / "latest.json", latest.encode())
    return str(path)


def page(title: str, outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """The page for `outcomes` by connection: {"entries": n, "matches": n, "breaks": [row, ...]}."""
    banks = "".join(
        f"<tr><td>{escape(conn_id)}"
        + "".join(f'<td class="n">{n}' for n in (o["entries"], o["matches"], len(o["breaks"])))
        + "</tr>"
        for conn_id, o in outcomes.items()
    )
    breaks = "".join(_break(conn_id, row) for conn_id, o in outcomes.items() for row in o["breaks"])
    return _PAGE.format(title=escape(title), banks=banks, breaks=breaks)


def _break(conn_id: str, row: Mapping[str, Any]) -> str:
    texts = (conn_id, row["code"], row["account_id"], row["booking_date"], row["reference"])
    numbers = "".join(f'<td class="n">{"" if n is None else n}' for n in (row["ledger_minor"], row["statement_minor"]))
    return "<tr>" + "".join(f"<td>{escape(text)}" for text in texts) + numbers + f"<td>{escape(row['currency'])}</tr>"
