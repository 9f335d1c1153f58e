from __future__ import annotations

import time

from apps.core.status import queue_report, worker_nodes


def test_an_absent_broker_is_told_at_once(db: None) -> None:
    """Every open page asks for this: six seconds of retries each would occupy the web process's threads."""
    start = time.monotonic()
    report = queue_report(worker_nodes())
    assert [queue["workers"] for queue in report] == [None] * 6
    assert time.monotonic() - start < 3
