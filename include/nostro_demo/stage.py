"""The sandbox and an Airflow that knows it, in one directory that stays to be looked at."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from nostro_demo import settings
from nostro_demo.airflow import REPOSITORY, Airflow
from nostro_demo.sandbox import Sandbox

DAGS = ("statements", "payouts", "reconciliation")


class Stage:
    """A context manager: on entry both run, the settings are applied and the DAGs parsed; on exit nothing runs."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        quick: bool = True,
        env: Mapping[str, str] | None = None,
        dags: Path = REPOSITORY / "dags",
        dag_ids: tuple[str, ...] = DAGS,
        **sandbox_flags: object,
    ) -> None:
        self.directory = fresh(directory)
        self.lake = self.directory / "lake"
        self.dag_ids = dag_ids
        self.sandbox = Sandbox(self.directory / "sandbox.log", **sandbox_flags)
        own = {"AIRFLOW__NOSTRO__LAKE": f"file://{self.lake}"}
        every = {**own, **(env or {})}
        self.airflow = Airflow(self.directory / "airflow", dags=dags, port=port, quick=quick, env=every)
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
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


def fresh(directory: Path) -> Path:
    """An empty directory for this user alone. One that is not ours is not replaced."""
    directory = directory.resolve()
    mark = directory / ".nostro-demo"
    if directory.exists() and any(directory.iterdir()) and not mark.exists():
        raise FileExistsError(f"{directory} holds files that are not the demo's; not replacing it")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    mark.touch()
    return directory


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable for this user only."""
    handle, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
