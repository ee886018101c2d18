"""After all runs of this directory, at DEBUG: no secret and no token anywhere it could be read."""

import pytest
from leaks import credentials_of, places, tokens_of

from nostro_demo.rest import Client
from nostro_demo.stage import Stage

pytestmark = pytest.mark.xdist_group("airflow")  # they share one Airflow: one xdist worker runs them


def test_no_secret_is_in_logs_xcom_rendered_fields_metadata_or_the_store(stage: Stage, admin: Client):
    """And the same scan finds a leak that is planted."""
    for bank in stage.sandbox.credentials:  # so that each bank's token is there to be looked for
        run_id = admin.trigger("use_connection", {"conn_id": f"{bank}_default"})
        admin.wait_for_run("use_connection", run_id)
    tokens = tokens_of(stage)
    assert len(tokens) >= 5
    logs = [path for path in stage.directory.rglob("*.log") if "nostro.wire" in path.read_text(errors="replace")]
    assert logs, "nothing was logged at DEBUG, so nothing is proved"
    assert places(stage, tokens | credentials_of(stage.sandbox)) == []
    admin.wait_for_run("planted_leak", admin.trigger("planted_leak", {}))
    assert any("xcom" in place for place in places(stage, tokens))
