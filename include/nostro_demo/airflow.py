"""A real Airflow on free loopback ports: the components of a `Layout`.

    with Airflow(Path(".demo/airflow")) as airflow:
        maker = airflow.client("maker")

The components are started side by side rather than by `airflow standalone`: as quick, each has a log of its own,
and each can be ended, killed and started again by its own process id.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from nostro_demo import preload
from nostro_demo.config import airflow_environment, fresh_passwords
from nostro_demo.layout import LOCAL, Component, Layout
from nostro_demo.process import Process, stop_all, wait_until
from nostro_demo.rest import Client

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, else any free loopback port."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


class Airflow:
    """A context manager; `home` is made new, everything started is ended on the way out."""

    def __init__(
        self,
        home: Path,
        *,
        layout: Layout = LOCAL,
        dags: Path = REPOSITORY / "dags",
        plugins: Path = REPOSITORY / "plugins",
        env: Mapping[str, str] | None = None,
        port: int = 0,
        quick: bool = True,
        start_timeout: float = 120,
    ) -> None:
        """`env` wins over the settings made here and over the layout's; `port` is taken if it is free.

        `quick`: tasks find heavy modules imported already; they do not see changes made to those modules meanwhile.
        """
        self.home = home.resolve()
        self.logs = self.home / "components"
        self.url = f"http://127.0.0.1:{free_port(port)}"
        self.passwords = fresh_passwords()
        self.layout = layout
        extra = {**layout.env, **(env or {})}
        self.env = airflow_environment(self.home, self.url, dags.resolve(), plugins.resolve(), extra)
        self._quick, self._start_timeout = quick, start_timeout
        self._processes: dict[str, Process] = {}
        self._clients: list[Client] = []

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._make_home()
        migration = self._process("migrate", Component(("db", "migrate")))
        migration.wait(self._start_timeout)
        for name in self.layout.components:
            self.start_component(name)
        watched = list(self._processes.values())
        wait_until("API server up", self._warm_up, self._start_timeout, watch=watched)
        wait_until("Airflow healthy", self.healthy, self._start_timeout, watch=watched)
        wait_until("all components ready", self._said_ready, self._start_timeout, watch=watched)

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        stop_all(list(self._processes.values()))
        self._processes.clear()
        self._clients.clear()

    def healthy(self) -> bool:
        health = self._get("/api/v2/monitor/health") or {}
        wanted = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all(health.get(part, {}).get("status") == "healthy" for part in wanted)

    def _said_ready(self) -> bool:
        said = ((component.ready, self._log(name)) for name, component in self.layout.components.items())
        return all(ready in log.read_text(encoding="utf-8") for ready, log in said if ready)

    def _warm_up(self) -> bool:
        """The Execution API builds its routes at its first call, which takes seconds: now rather than in a task."""
        return self._get("/execution/health") is not None

    def _get(self, path: str) -> dict[str, Any] | None:
        try:
            answer = httpx.get(self.url + path, timeout=30, trust_env=False)
        except httpx.TransportError:
            return None
        return dict(answer.json()) if answer.is_success else None

    def check(self) -> None:
        """Raises ProcessFailed if a component has ended."""
        for process in self._processes.values():
            process.check()

    def client(self, user: str) -> Client:
        """The REST API as `maker`, `checker`, `admin` or `viewer`."""
        client = Client(self.url, user, self.passwords[user])
        self._clients.append(client)
        return client

    def start_component(self, name: str) -> None:
        self._processes[name] = self._process(name, self.layout.components[name])

    def stop_component(self, name: str) -> None:
        self._processes.pop(name).stop()

    def kill_component(self, name: str) -> None:
        """As a crash would: SIGKILL to the component and whatever it runs."""
        self._processes.pop(name).kill()

    def pids(self) -> dict[str, list[int]]:
        return {name: process.pids() for name, process in self._processes.items()}

    def cli(self, *arguments: str, timeout: float = 60) -> str:
        """Run one `airflow` command in this Airflow's environment and give its standard output."""
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(
            command, env=self.env, cwd=self.home, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout

    def _process(self, name: str, component: Component) -> Process:
        command = (sys.executable, "-m", "airflow", *component.command)
        home = {"AIRFLOW_HOME": str(self._home_of(name))} if component.own_home else {}
        env = {**self.env, **home, **component.env}
        known = {key: value for key, value in env.items() if key not in component.without}
        return Process(name, command, log=self._log(name), env=known, cwd=self.home, patience=3)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _home_of(self, name: str) -> Path:
        return self.home / name

    def _make_home(self) -> None:
        # 0700: the database and the logs lie here. Only a directory that an Airflow was made in is replaced.
        if self.home.exists() and any(self.home.iterdir()):
            if not (self.home / "airflow.cfg").exists() and not self.logs.exists():
                raise FileExistsError(f"{self.home} is not an AIRFLOW_HOME; not replacing it")
            shutil.rmtree(self.home)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir()
        own = [self._home_of(name) for name, component in self.layout.components.items() if component.own_home]
        for home in (self.home, *own):
            (home / "config").mkdir(parents=True)
            if self._quick:
                (home / "config" / "airflow_local_settings.py").write_text(preload.LOCAL_SETTINGS, encoding="utf-8")
        passwords = self.env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
        with os.fdopen(os.open(passwords, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            json.dump(self.passwords, file)
