"""The sandbox and an Airflow that knows it, in one directory that stays to be looked at."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from nostro_demo import settings
from nostro_demo.airflow import REPOSITORY, Airflow
from nostro_demo.layout import LOCAL, Layout
from nostro_demo.sandbox import Sandbox

DAGS = ("statements", "payouts", "reconciliation")


class Stage:
    """A context manager: on entry both run, the settings are applied and the DAGs parsed; on exit nothing runs."""

    def __init__(
        self,
        directory: Path,
        *,
        layout: Layout = LOCAL,
        port: int = 0,
        quick: bool = True,
        env: Mapping[str, str] | None = None,
        dags: Path = REPOSITORY / "dags",
        dag_ids: tuple[str, ...] = DAGS,
        **sandbox_flags: object,
    ) -> None:
        self.directory = directory.resolve()
        self.lake = self.directory / "lake"
        self.dag_ids = dag_ids
        self.sandbox = Sandbox(self.directory / "sandbox.log", **sandbox_flags)
        own = {"AIRFLOW__NOSTRO__LAKE": f"file://{self.lake}"}
        every = {**own, **(env or {})}
        home = self.directory / "airflow"
        self.airflow = Airflow(home, layout=layout, dags=dags, port=port, quick=quick, env=every)
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(fresh(self.directory))
            undo.callback(self.airflow.stop)
            undo.callback(self.sandbox.stop)
            self._start()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def check(self) -> None:
        self.sandbox.check()
        self.airflow.check()

    def _start(self) -> None:
        self.sandbox.launch()  # it is ready long before Airflow is
        self.airflow.start()
        self.sandbox.wait_ready()
        write_private(self.directory / "sandbox.json", json.dumps(self.sandbox.description, indent=1))
        admin = self.airflow.client("admin")
        settings.read(REPOSITORY / "airflow_settings.yaml", self.sandbox.description).apply(admin)
        admin.wait_for_dags(self.dag_ids)


def fresh(directory: Path) -> IO[str]:
    """Make it an empty directory for this user alone, and hold it as long as the file given is open.

    One that is not ours, or in which another demo runs, is not replaced.
    """
    mark = directory / ".nostro-demo"
    if mark.exists():
        with _held(mark):
            shutil.rmtree(directory)
    elif directory.exists() and any(directory.iterdir()):
        raise FileExistsError(f"{directory} holds files that are not the demo's; not replacing it")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _held(mark)


def _held(mark: Path) -> IO[str]:
    file = mark.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BlockingIOError(f"a demo is running in {mark.parent}; stop it first") from None
    return file


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable for this user only."""
    handle, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
