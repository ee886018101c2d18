"""Runs of `dags/use_connection.py`, and what their logs say."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nostro_demo.rest import ENDED, POLL, Client, RunFailed

DAG, TASK = "use_connection", "count_accounts"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its `state`, and its task's log at DEBUG as Airflow gives it."""

    state: str
    log: tuple[dict[str, Any], ...]

    @property
    def text(self) -> str:
        return json.dumps(self.log, ensure_ascii=False)

    @property
    def exceptions(self) -> list[dict[str, Any]]:
        """Every exception in the log; those that caused another, or happened while it was handled, count too."""
        return [error for entry in self.log for error in entry.get("error_detail") or ()]


@dataclass(frozen=True)
class Runs:
    client: Client

    def trigger(self, conn_id: str) -> str:
        return self.client.trigger(DAG, {"conn_id": conn_id})

    def wait(self, run_id: str, timeout: float = 60) -> Outcome:
        deadline = time.monotonic() + timeout
        while (state := self.client.run(DAG, run_id)["state"]) not in ENDED:
            if time.monotonic() > deadline:
                raise RunFailed(f"{run_id} is {state} after {timeout:g} s:\n{self.client.account(DAG, run_id)}")
            time.sleep(POLL)
        return Outcome(state, self._log(run_id, deadline))

    def _log(self, run_id: str, deadline: float) -> tuple[dict[str, Any], ...]:
        """The whole log; the run may have ended a moment before its last line is in the file."""
        path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/{TASK}/logs/1"
        while True:
            entries = self.client.call("GET", path, params={"full_content": True})["content"]
            log = tuple(entry for entry in entries if isinstance(entry, dict))
            if any("Post Execute" in str(entry.get("event")) for entry in log):
                return log
            if time.monotonic() > deadline:
                raise RunFailed(f"the log of {run_id} has no end: {entries}")
            time.sleep(POLL)

    def accounts(self, run_id: str) -> int:
        """What a run that succeeded has returned."""
        return int(self.client.xcom(DAG, run_id, TASK))


def connection(
    conn_id: str,
    conn_type: str,
    description: Mapping[str, Any],
    *,
    extra: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A connection's body, to the sandbox that printed `description`; `fields` and `extra` replace what is right."""
    right = description["credentials"][conn_type]
    return {
        "connection_id": conn_id,
        "conn_type": conn_type,
        "host": description["urls"][conn_type],
        "login": right["login"],
        "password": right["password"],
        "extra": json.dumps({**right["extra"], **(extra or {})}),
        **fields,
    }
