"""The table at the end of the demo."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEADER = ("bank", "token requests", "entries pulled", "payouts", "matches", "breaks")


def latest(lake: Path) -> dict[str, Any]:
    """What the last reconciliation run wrote: `report`, its path, and `banks`, the figures by connection."""
    report: dict[str, Any] = json.loads((lake / "reports" / "latest.json").read_text(encoding="utf-8"))
    return report


def rows(stats: Mapping[str, Mapping[str, int]], banks: Mapping[str, Mapping[str, int]]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for conn_type, counters in stats.items():
        figures = banks.get(f"{conn_type}_default", {})
        pulled, matches, breaks = (figures.get(name, "-") for name in ("entries", "matches", "breaks"))
        found.append((conn_type, counters["token_requests"], pulled, counters["payouts"], matches, breaks))
    return found


def table(body: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> str:
    """Text to the left, figures to the right."""
    cells = [tuple(header), *(tuple(str(cell) for cell in row) for row in body)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
