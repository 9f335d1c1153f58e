"""The broker and the database go away while a real worker trains; the job ends as if nothing had been."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.integration.apart import Apart
from tests.integration.running import ROOT, eventually

JOB = "SELECT status, fence, error_code FROM modelops_trainingjob WHERE id = %s"
TOLD = "SELECT count(*) FROM modelops_jobevent WHERE job_id = %s"
MADE = "SELECT count(*) FROM modelops_modelversion WHERE job_id = %s"
PATIENCE_S = 180.0


def asked(apart: Apart, **params: Any) -> int:
    """The number of a job of payments, asked for on the page."""
    simulate = [
        "simulate_transactions",
        "--name",
        "outages",
        "--days",
        "40",
        "--customers",
        "250",
        "--terminals",
        "80",
    ]
    environment = {**apart.demo.environment, "LYNCEUS_DEMO": "1"}
    command = [sys.executable, "manage.py", *simulate, "--site", "demo"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    [(dataset,)] = apart.postgres.rows("SELECT id FROM modelops_datasetsnapshot WHERE name = 'outages'")
    with apart.demo.as_person("mladmin") as client:
        client.get("/models/fraud/train/")
        form = {"dataset": dataset, "preset": "tiny", "seed": 5, **params}
        token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
        answer = client.post("/models/fraud/train/", data={**form, **token})
    assert answer.status_code == 302, answer.status_code
    return int(answer.headers["Location"].rstrip("/").rsplit("/", 1)[1])


def told(apart: Apart, job: int) -> int:
    """How much it has said of itself."""
    return int(apart.postgres.rows(TOLD, job)[0][0])


def test_it_works(apart: Apart) -> None:
    """Without the broker it trains on; the database takes its process along, and its lease brings it back to
    the last checkpoint (the twins: test_broker_away.py, test_database_away.py)."""
    job = asked(apart, param_epochs=40)
    eventually(lambda: told(apart, job) >= 4, within_s=PATIENCE_S, of="its first epochs")
    apart.broker.kill()
    try:
        before = told(apart, job)
        eventually(lambda: told(apart, job) > before, within_s=PATIENCE_S, of="another epoch")
    finally:
        apart.broker.start()
    assert apart.postgres.rows(JOB, job)[0][:2] == ("running", 1)
    apart.postgres.crash()
    apart.postgres.start()
    eventually(lambda: apart.postgres.rows(MADE, job) == [(1,)], within_s=PATIENCE_S, of="its version")
    status, fence, code = apart.postgres.rows(JOB, job)[0]
    assert (status, code) == ("succeeded", "")
    assert fence >= 2
