"""What a measurement says: rows, ratios, goals, and the best of three runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

RUNS = 3


@dataclass(frozen=True)
class Goal:
    """`figure` shall be `limit` at the most; `of` says what it counts, such as "x floor"."""

    figure: float
    limit: float
    of: str

    @property
    def met(self) -> bool:
        return self.figure <= self.limit

    def __str__(self) -> str:
        return f"{self.figure:.4g} {self.of}, at most {self.limit:g}: {'met' if self.met else 'missed'}"


@dataclass(frozen=True)
class Row:
    what: str
    cells: Sequence[str]
    goals: Sequence[Goal] = ()


@dataclass(frozen=True)
class Table:
    title: str
    heads: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    @property
    def excess(self) -> float:
        """By how much the farthest goal is missed; 0 if all are met."""
        return max((goal.figure - goal.limit for row in self.rows for goal in row.goals if not goal.met), default=0)

    def __str__(self) -> str:
        lines = [("", *self.heads, "goal")]
        lines += [(row.what, *row.cells, "; ".join(map(str, row.goals))) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [_line(cells, widths) for cells in lines]
        text.insert(1, "-" * max(map(len, text)))
        return "\n".join([self.title, *text, *self.notes])


def best_of_runs(measure: Callable[[], Table]) -> Table:
    """The first run that meets all goals, else that of RUNS which comes nearest.

    A run on a busy machine may be bad luck, RUNS in a row are not.
    """
    runs: list[Table] = []
    while len(runs) < RUNS and not any(run.excess == 0 for run in runs):
        runs.append(measure())
    return min(runs, key=lambda run: run.excess)


def absent(what: str, columns: int) -> Row:
    """The row of a peer that is not there."""
    return Row(what, ["not installed", *[""] * (columns - 1)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    what, *figures, goal = cells
    aligned = [text.rjust(width) for text, width in zip(figures, widths[1:-1], strict=True)]
    return "  ".join([what.ljust(widths[0]), *aligned, goal]).rstrip()
