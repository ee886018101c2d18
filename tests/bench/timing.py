"""How figures are had: in pairs, in turns, and in processes of their own."""

import gc
import multiprocessing
import random
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from statistics import median
from typing import TypeVar

T = TypeVar("T")
Step = Callable[[], object]
Figures = dict[str, list[float]]

fork = multiprocessing.get_context("fork")  # as Airflow's task processes are made


def paired(steps: Mapping[str, Step], rounds: int, turn: float = 0.004) -> Figures:
    """Microseconds of this process's CPU time per call of each step, one figure for each round.

    In a round each step has one turn of `turn` seconds, in an order drawn anew: what slows the machine down for a
    while slows them all. What other processes take of the cores is not counted.
    """
    _freeze()
    calls = {name: _calls_within(turn, step) for name, step in steps.items()}

    def one(name: str) -> float:
        return _cpu_seconds(steps[name], calls[name]) / calls[name] * 1e6

    return _in_turns(list(steps), rounds, one)


def paired_in_new_processes(steps: Mapping[str, Step], rounds: int) -> Figures:
    """Microseconds that each step takes when it is the first thing a forked process does, one figure for each round.

    Forking and ending the process are not counted.
    """
    _freeze()

    def timed(step: Step) -> float:
        began = time.perf_counter()
        step()
        return (time.perf_counter() - began) * 1e6

    return _in_turns(list(steps), rounds, lambda name: in_child(lambda: timed(steps[name])))


def ratio(figures: Figures, name: str, to: str) -> float:
    """How many times as long as `to` takes `name`: the median of what each round says."""
    return median(mine / other for mine, other in zip(figures[name], figures[to], strict=True))


def in_child(work: Callable[[], T]) -> T:
    """What `work` gives in a process that is forked for it."""
    return in_children([work])[0]


def in_children(works: Sequence[Callable[[], T]]) -> list[T]:
    """What each of `works` gives, each in a forked process of its own, all at once."""
    children = [_start(work) for work in works]
    found = []
    for child, results in children:
        try:
            found.append(results.recv())
        except EOFError:
            raise RuntimeError("a measuring process failed; its own message stands above") from None
        finally:
            child.join()
    return found


def _start(work: Step) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    results, end = fork.Pipe(duplex=False)
    child = fork.Process(target=_report, args=(work, end))
    child.start()
    end.close()
    return child, results


def _report(work: Step, end: Connection) -> None:
    end.send(work())
    end.close()


def _in_turns(names: list[str], rounds: int, one: Callable[[str], float]) -> Figures:
    figures: Figures = {name: [] for name in names}
    draw = random.Random(rounds)
    for _ in range(rounds):
        for name in draw.sample(names, len(names)):
            figures[name].append(one(name))
    return figures


def _calls_within(turn: float, step: Step) -> int:
    calls = 1
    while (seconds := _cpu_seconds(step, calls)) < turn / 2:
        calls *= 2
    return max(1, round(calls * turn / seconds))


def _cpu_seconds(step: Step, calls: int) -> float:
    return timeit.timeit(step, number=calls, timer=time.process_time)


def _freeze() -> None:
    """Keep what Airflow has imported out of the garbage collector's rounds, which would hit one step or another."""
    gc.collect()
    gc.freeze()
