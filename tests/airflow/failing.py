"""Cases for the README's table of errors, each with a bank of its own: all are started at once and run side by side."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from certificates import EXPIRED, EXPIRED_KEY, NO_P12
from runs import connection

from nostro_demo.airflow import free_port
from nostro_demo.rest import ENDED, POLL, Client, Json, RunFailed
from nostro_demo.sandbox import Sandbox

AT_REST = {"failed", "success", "up_for_retry", "up_for_reschedule"}
PAUSE = 7  # seconds that the bank wants to be left alone for, where it says so
NOBODY = f"http://127.0.0.1:{free_port()}"


@dataclass(frozen=True, eq=False)
class Case:
    """A `fault` of the bank, or `changes` to a connection that works, and the error that comes of it.

    `runs`: how many begin at the same time. `asked`: how many times they show the bank credentials or a code, all
    together, until they have come to rest.
    """

    name: str
    error: str
    bank: str
    fault: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    store: str = ""
    dag: str = "guarded"
    runs: int = 1
    asked: int = 1

    @property
    def conn_id(self) -> str:
        return f"fails_{self.name}"


CODE_DUE = Case(
    "code_due",
    "SecondFactorDue",
    "mbanq",
    fault={"code_lifetime": 3600},
    extra={"totp_secret": ""},
    dag="three_guarded",
)
CASES = [
    # First those that do not rest for long.
    Case("throttled", "LoginsThrottled", "m2p", {"throttle_token": {"times": 1, "retry_after": PAUSE}}, runs=2),
    Case(
        "throttled_by_date",
        "LoginsThrottled",
        "mangopay",
        {"throttle_token": {"times": 1, "retry_after": "http-date", "seconds": PAUSE}},
        runs=2,
    ),
    Case("throttled_call", "Throttled", "mangopay", {"throttle_calls": {"times": 1, "retry_after": PAUSE}}),
    CODE_DUE,
    # One login, and two codes: the second one by the bank's clock.
    Case("code_refused", "CodeRefused", "mbanq", extra={"totp_secret": "JBSWY3DPEHPK3PXP"}, runs=2, asked=3),
    Case("password", "CredentialsRefused", "mangopay", changes={"password": "no-such-password"}, runs=2),
    Case("locked", "AccountLocked", "kunacore", {"locked": True}, runs=2),
    Case("password_expired", "PasswordExpired", "mbanq", {"password_expired": True}, runs=2),
    Case("address", "AddressRefused", "banking_circle", {"address_refused": True}, runs=2),
    Case("outage", "TokenEndpointUnavailable", "m2p", {"fail_token": {"status": 503}}),
    Case("unreachable", "TokenEndpointUnavailable", "m2p", changes={"host": NOBODY}, asked=0),
    Case("misshapen", "UnexpectedAnswer", "kunacore", {"wrong_shape": "html"}),
    Case("missing_field", "ConfigurationError", "m2p", extra={"tenant_id": ""}, asked=0),
    Case(
        "mixed_environments",
        "ConfigurationError",
        "banking_circle",
        changes={"host": "https://www.bankingcircleconnect.com"},
        extra={"authorization_url": "https://authorizationsandbox.bankingcircleconnect.com"},
        asked=0,
    ),
    Case(
        "expired_certificate",
        "CertificateError",
        "banking_circle",
        extra={**NO_P12, "client_certificate_pem": EXPIRED, "private_key_pem": EXPIRED_KEY},
        asked=0,
    ),
    Case("no_store", "StoreUnavailable", "m2p", store=f"postgresql://nobody@127.0.0.1:{free_port()}/nostro", asked=0),
    Case("calls_fail", "Unavailable", "kunacore", {"fail_calls": {"status": 503}}),
    Case("call_refused", "Rejected", "banking_circle", {"fail_calls": {"status": 403}}),
]


@dataclass
class Play:
    """What became of the cases: their banks, the ids of their runs, their tasks as they first came to rest.

    `asked`: how many times each bank was shown credentials or a code by then.
    """

    client: Client
    banks: dict[Case, Sandbox]
    runs: dict[Case, list[str]] = field(default_factory=dict)
    at_rest: dict[Case, list[Json]] = field(default_factory=dict)
    asked: dict[Case, int] = field(default_factory=dict)

    def start(self, case: Case) -> None:
        conf = {"conn_id": case.conn_id} | ({"store": case.store} if case.store else {})
        self.runs[case] = [self.client.trigger(case.dag, conf) for _ in range(case.runs)]

    def wait_until_at_rest(self, timeout: float) -> None:
        """All are looked at in turn: some do not rest for long."""
        deadline = time.monotonic() + timeout
        while awaited := [case for case in self.runs if case not in self.at_rest]:
            now = {dag: self.client.task_instances(dag, "~") for dag in {case.dag for case in awaited}}
            for case in awaited:
                tasks = [task for task in now[case.dag] if task["dag_run_id"] in self.runs[case]]
                if len(tasks) >= case.runs and all(task["state"] in AT_REST for task in tasks):
                    self.at_rest[case], self.asked[case] = tasks, self._asked(case)
            if time.monotonic() > deadline:
                raise RunFailed(f"after {timeout:g} s not at rest: {', '.join(case.name for case in awaited)}")
            time.sleep(POLL)

    def _asked(self, case: Case) -> int:
        stats = self.banks[case].stats()[case.bank]
        return stats["token_requests"] + stats["validations"]

    def tasks(self, case: Case) -> list[Json]:
        """As they are now."""
        return [task for run_id in self.runs[case] for task in self.client.task_instances(case.dag, run_id)]

    def end(self) -> None:
        """What waits for its next try waits for nobody."""
        for case, run_ids in self.runs.items():
            for run_id in run_ids:
                if self.client.run(case.dag, run_id)["state"] not in ENDED:
                    self.client.call("PATCH", f"/dags/{case.dag}/dagRuns/{run_id}", json={"state": "failed"})


@contextmanager
def banks(logs: Path) -> Iterator[dict[Case, Sandbox]]:
    """As many sandboxes as it takes for each case to have a bank to itself, with its fault."""
    number = Counter(case.bank for case in CASES)
    with ExitStack() as stack:
        sandboxes = [Sandbox(logs / f"{n}.log") for n in range(max(number.values()))]
        for sandbox in sandboxes:
            stack.callback(sandbox.stop)
            sandbox.launch()
        for sandbox in sandboxes:
            sandbox.wait_ready()
        free = {bank: iter(sandboxes) for bank in number}
        found = {case: next(free[case.bank]) for case in CASES}
        for case, sandbox in found.items():
            sandbox.faults({case.bank: case.fault})
        yield found


@contextmanager
def played(client: Client, banks: dict[Case, Sandbox]) -> Iterator[Play]:
    """All cases, each as it first came to rest."""
    described = [(case, banks[case].description) for case in CASES]
    bodies = [connection(c.conn_id, c.bank, bank, extra=c.extra, **c.changes) for c, bank in described]
    client.put("connections", bodies)
    play = Play(client, banks)
    try:
        for case in CASES:
            play.start(case)
        play.wait_until_at_rest(timeout=120)
        yield play
    finally:
        play.end()
        for case in CASES:
            client.delete_connection(case.conn_id)


def requests(sandbox: Sandbox, bank: str) -> list[Json]:
    """The requests that a bank has got, oldest first: when, method, path, status."""
    answer = httpx.get(sandbox.urls["m2p"] + "/_log", params={"conn_type": bank}, timeout=30, trust_env=False)
    return list(answer.json())
