"""`make up`: Airflow and the sandbox banks, left running until Ctrl-C."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nostro_demo import ledger
from nostro_demo.config import USERS
from nostro_demo.stage import Stage

USUAL_PORT = 8080
LEDGER_DAYS = 35


def run(directory: Path) -> None:
    print("starting five sandbox banks and Airflow …", flush=True)
    # Not quick: whoever leaves it running may well change the code, and each task should see the change.
    with Stage(directory, port=USUAL_PORT, quick=False) as stage:
        admin = stage.airflow.client("admin")
        for dag_id in stage.dag_ids:
            admin.unpause(dag_id)
        today = datetime.now(UTC).date()
        ledger.write(stage.lake, stage.sandbox.truth(), today - timedelta(days=LEDGER_DAYS), today, {})
        print(welcome(stage), flush=True)
        while True:
            stage.check()
            time.sleep(1)


def welcome(stage: Stage) -> str:
    width = max(map(len, USERS))
    users = [f"  {user.ljust(width)}  {stage.airflow.passwords[user]}  ({role})" for user, role in USERS.items()]
    banks = [f"  {name}: {url}" for name, url in stage.sandbox.urls.items()]
    return "\n".join(
        [
            f"\nAirflow: {stage.airflow.url}",
            *users,
            "Banks:",
            *banks,
            f"Files: {stage.directory} (the banks' credentials: sandbox.json)",
            "A payout wants two people: trigger it as maker, approve it as checker. Ctrl-C stops all.",
        ]
    )
