"""Airflow's REST API v2 as one user: only the calls that the demo and the end-to-end tests need."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx

Json = dict[str, Any]

ENDED = frozenset({"success", "failed"})
POLL = 0.25

# Airflow 3.3 fails a task that is resumed while its executor still has to report the end of the part before the
# question ("reported … finished with state success, but the task instance's state attribute is queued"). That report
# comes up to `[workers] min_heartbeat_interval` late, 1 s here, and nothing in the API shows whether it has come:
# a question is fit to be answered once it is this old.
SETTLED_AFTER = timedelta(seconds=3)


class ApiError(RuntimeError):
    """The API refused a call; `status` is its HTTP status."""

    def __init__(self, response: httpx.Response) -> None:
        request = response.request
        super().__init__(f"{request.method} {request.url.path}: HTTP {response.status_code} {response.text[:500]}")
        self.status = response.status_code


class RunFailed(RuntimeError):
    """A DAG run failed, or did not get where it should in time. The message names the task and ends with its log."""


class Client:
    """Logs in at the first call. `close` it, or use it in a `with` statement."""

    def __init__(self, url: str, user: str, password: str, timeout: float = 30) -> None:
        self.user, self._password = user, password
        # Airflow is on this machine: neither a proxy nor a .netrc has a say.
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- the calls themselves

    def call(self, method: str, path: str, **options: Any) -> Any:
        """`path` below /api/v2. Gives the JSON of the answer, None for an empty one; raises ApiError."""
        if "Authorization" not in self._http.headers:
            self._log_in()
        for _ in range(10):
            response = self._http.request(method, f"/api/v2{path}", **options)
            if not _was_locked(response):
                break
            time.sleep(POLL)
        if response.is_error:
            raise ApiError(response)
        return response.json() if response.content else None

    def _log_in(self) -> None:
        response = self._http.post("/auth/token", json={"username": self.user, "password": self._password})
        if response.is_error:
            raise ApiError(response)
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def _all(self, path: str, key: str, **params: Any) -> Iterator[Json]:
        """Every item of a list, page by page."""
        offset = 0
        while page := self.call("GET", path, params={**params, "limit": 100, "offset": offset})[key]:
            yield from page
            offset += len(page)
            if len(page) < 100:
                return

    # --- DAGs and their runs

    def import_errors(self) -> dict[str, str]:
        return {error["filename"]: error["stack_trace"] for error in self._all("/importErrors", "import_errors")}

    def wait_for_dags(self, dag_ids: Sequence[str], timeout: float = 60) -> None:
        """Until the DAGs have been parsed; an import error ends the wait."""
        deadline = time.monotonic() + timeout
        while missing := set(dag_ids) - {dag["dag_id"] for dag in self._all("/dags", "dags", exclude_stale=True)}:
            if errors := self.import_errors():
                raise RunFailed("\n".join(f"{file} does not import:\n{trace}" for file, trace in errors.items()))
            if time.monotonic() > deadline:
                raise RunFailed(f"not parsed within {timeout:g} s: {', '.join(sorted(missing))}")
            time.sleep(POLL)

    def unpause(self, dag_id: str) -> None:
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, **body: Any) -> str:
        """Start a run and give its id. `body`: more of the API's fields, such as `partition_key` or `dag_run_id`."""
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or {}, **body})
        return str(run["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        run: Json = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return run

    def runs(self, dag_id: str, **params: Any) -> list[Json]:
        return list(self._all(f"/dags/{dag_id}/dagRuns", "dag_runs", **params))

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120) -> Json:
        """Until the run has succeeded; raises RunFailed with the failing task's log if it does not."""
        deadline = time.monotonic() + timeout
        while (run := self.run(dag_id, run_id))["state"] not in ENDED:
            if time.monotonic() > deadline:
                so_far = self.account(dag_id, run_id)
                raise RunFailed(f"{dag_id}/{run_id} is {run['state']} after {timeout:g} s:\n{so_far}")
            time.sleep(POLL)
        if run["state"] == "failed":
            raise RunFailed(f"{dag_id}/{run_id} failed:\n{self.account(dag_id, run_id)}")
        return run

    def account(self, dag_id: str, run_id: str, lines: int = 30) -> str:
        """What became of a run's tasks, with the end of the log of those that failed."""
        parts = []
        for task in self.task_instances(dag_id, run_id):
            task_id, index, number = task["task_id"], task["map_index"], task["try_number"]
            name = task_id if index < 0 else f"{task_id}[{index}]"
            parts.append(f"  {name}: {task['state'] or 'not started'}, try {number}")
            if task["state"] in ("failed", "up_for_retry"):
                log = self.log(dag_id, run_id, task_id, map_index=index, try_number=number)
                parts.extend(f"    | {line}" for line in log.splitlines()[-lines:])
        return "\n".join(parts) or "  no task"

    # --- tasks

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        return list(self._all(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances"))

    def log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, try_number: int = 1) -> str:
        """The lines of a try's log, with the traceback's frames when an error carries one."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        try:
            answer = self.call("GET", path, params={"map_index": map_index, "full_content": True})
        except ApiError as error:
            return f"(no log: {error})"
        return "\n".join(_log_line(entry) for entry in answer["content"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, params={"map_index": map_index, "deserialize": False})["value"]

    # --- a human's part

    def hitl_details(self, dag_id: str = "~", run_id: str = "~", **params: Any) -> list[Json]:
        """Questions to humans; `response_received=False` gives the open ones."""
        return list(self._all(f"/dags/{dag_id}/dagRuns/{run_id}/hitlDetails", "hitl_details", **params))

    def wait_for_question(self, dag_id: str, run_id: str, timeout: float = 60) -> Json:
        """The first open question of a run, once fit to be answered; a run that ends unasked raises RunFailed."""
        deadline = time.monotonic() + timeout
        while not (questions := self._settled_questions(dag_id, run_id)):
            state = self.run(dag_id, run_id)["state"]
            if state in ENDED or time.monotonic() > deadline:
                account = self.account(dag_id, run_id)
                raise RunFailed(f"{dag_id}/{run_id} is {state} and asked nobody within {timeout:g} s:\n{account}")
            time.sleep(POLL)
        return questions[0]

    def _settled_questions(self, dag_id: str, run_id: str) -> list[Json]:
        latest = datetime.now(UTC) - SETTLED_AFTER
        questions = self.hitl_details(dag_id, run_id, response_received=False)
        return [question for question in questions if datetime.fromisoformat(question["created_at"]) < latest]

    def answer(self, question: Mapping[str, Any], *options: str, params: Mapping[str, Any] | None = None) -> Json:
        """Answer a question that `hitl_details` or `wait_for_question` gave, as this client's user."""
        task = question["task_instance"]
        run = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}"
        path = f"{run}/taskInstances/{task['task_id']}/{task['map_index']}/hitlDetails"
        body = {"chosen_options": list(options), "params_input": dict(params or {})}
        answered: Json = self.call("PATCH", path, json=body)
        return answered

    # --- what DAGs use

    def put(self, kind: str, entities: Sequence[Mapping[str, Any]]) -> None:
        """Create or overwrite `connections`, `pools` or `variables`, in one call; all or an error."""
        action = {"action": "create", "action_on_existence": "overwrite", "entities": list(entities)}
        if entities:
            errors = self.call("PATCH", f"/{kind}", json={"actions": [action]})["create"]["errors"]
            if errors:
                raise RuntimeError(f"{kind}: {errors}")

    def connection(self, conn_id: str) -> Json:
        connection: Json = self.call("GET", f"/connections/{conn_id}")
        return connection

    def delete_connection(self, conn_id: str) -> None:
        self.call("DELETE", f"/connections/{conn_id}")

    def test_connection(self, connection: Mapping[str, Any]) -> tuple[bool, str]:
        """`connection`: a body as for `put`. The test runs in the API server."""
        result = self.call("POST", "/connections/test", json=dict(connection))
        return result["status"], result["message"]

    def asset_events(self, **params: Any) -> list[Json]:
        return list(self._all("/assets/events", "asset_events", **params))


def _was_locked(response: httpx.Response) -> bool:
    """SQLite was locked and nothing was done, see `config.API_SERVER_CONNECT_ARGS`: the call may be repeated."""
    return response.status_code == 500 and "Database error" in response.text


def _log_line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    line = " ".join(str(entry[key]) for key in ("timestamp", "level", "event") if entry.get(key))
    for error in entry.get("error_detail") or ():
        frames = [f"  {f.get('filename')}:{f.get('lineno')} in {f.get('name')}" for f in error.get("frames", ())[-8:]]
        line = "\n".join([line, *frames, f"{error.get('exc_type')}: {error.get('exc_value')}"])
    return line
