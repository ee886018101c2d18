"""The environment variables of a demo Airflow: quick, loopback only, with secrets made anew at each start."""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[1]

# Users of the simple auth manager, and their roles.
USERS = {"maker": "op", "checker": "op", "admin": "admin", "viewer": "viewer"}

# What a user's shell may hold for another Airflow, and what would lead loopback calls astray.
FOREIGN = ("AIRFLOW_", "AIRFLOW__", "FORCE_COLOR")


def fresh_passwords() -> dict[str, str]:
    return {user: secrets.token_urlsafe(12) for user in USERS}


def airflow_environment(home: Path, url: str, dags: Path, plugins: Path, extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    own = {
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in _settings(home, url, dags, plugins).items()},
        **_secrets(),
        **without_proxy(inherited),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(INCLUDE), inherited.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",  # so that the tail of a log is there when it is needed
        "SCARF_ANALYTICS": "false",
    }
    return {**inherited, **own, **extra}


def _settings(home: Path, url: str, dags: Path, plugins: Path) -> dict[str, str]:
    host, port = url.removeprefix("http://").split(":")
    return {
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__PLUGINS_FOLDER": str(plugins),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The default looks the host name up in the DNS, which hangs for seconds where there is none.
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "API__HOST": host,
        "API__PORT": port,
        "API__BASE_URL": url,
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),  # one for all, those with a home of their own too
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        **_pace(),
    }


def _pace() -> dict[str, str]:
    """Settings for a machine with two cores that runs some thirty small tasks in a row."""
    return {
        # Each slot is a process of its own, and a task is mostly Python on one core.
        "CORE__PARALLELISM": "6",
        # Airflow 3.3's supervisor closes a task's pipes, and then sleeps this long if the task has not quite exited by
        # then (supervisor.py, _monitor_subprocess), which holds its slot: 26 tasks in four slots took 12 to 15 s with
        # the default of 5 s, and 5 s with 1 s. Nought would send heartbeats without a pause.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # How long the scheduler sleeps when it found nothing to do.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        # New DAG files are seen at once; unchanged ones are not parsed again and again beside the tasks.
        "DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        # The first call of the Execution API can take longer than the default five seconds while all starts up.
        "WORKERS__EXECUTION_API_TIMEOUT": "30",
    }


def _secrets() -> dict[str, str]:
    return {
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
    }


def without_proxy(inherited: Mapping[str, str]) -> dict[str, str]:
    """The components talk to each other and to the sandbox on loopback; a proxy has no business there."""
    known = [inherited.get(name, "") for name in ("NO_PROXY", "no_proxy")]
    hosts = ",".join(filter(None, dict.fromkeys([*known, "127.0.0.1", "localhost"])))
    return {"NO_PROXY": hosts, "no_proxy": hosts}
