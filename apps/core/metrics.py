"""Numbers for Prometheus: what this web server answers, and what the database says is waiting and done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.core.status import queue_ages

log = structlog.get_logger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]
Samples = Iterable[tuple[tuple[str, ...], float]]
HTTP = Histogram(
    "lynceus_http_seconds",
    "Time to answer a request",
    ["route", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


@dataclass(frozen=True, slots=True)
class _Gauge:
    name: str
    help: str
    labels: tuple[str, ...]
    ask: Callable[[], Samples]


def _waiting() -> Samples:
    return [((queue,), count) for queue, (count, _) in queue_ages().items()]


def _oldest() -> Samples:
    return [((queue,), age_s or 0.0) for queue, (_, age_s) in queue_ages().items()]


_gauges = [
    _Gauge("lynceus_queue_waiting", "Rows that wait for a worker", ("queue",), _waiting),
    _Gauge("lynceus_queue_oldest_seconds", "Age of the oldest of them", ("queue",), _oldest),
]


def register_gauge(name: str, help: str, labels: tuple[str, ...], ask: Callable[[], Samples]) -> None:
    """`ask()` reads the database when scraped: pairs of label values and a number. It must be cheap."""
    _gauges.append(_Gauge(name, help, labels, ask))


def count_requests(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        start = time.perf_counter()
        response = get_response(request)
        # The pattern, never the path: a path holds ids.
        route = request.resolver_match.route if request.resolver_match else "none"
        method = request.method if request.method in ("GET", "HEAD", "POST") else "other"
        observe(route, method, response.status_code, time.perf_counter() - start)
        return response

    return middleware


def observe(route: str, method: str, status: int, took_s: float) -> None:
    HTTP.labels(route, method, str(status)).observe(took_s)


def exposition() -> bytes:
    """Everything as Prometheus text, over all of this server's processes where there are several."""
    registry = CollectorRegistry()
    registry.register(_FromDatabase())
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(REGISTRY) + generate_latest(registry)


class _FromDatabase(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from map(_family, _gauges)


def _family(gauge: _Gauge) -> Metric:
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=list(gauge.labels))
    try:
        for labels, value in gauge.ask():
            family.add_metric(list(labels), value)
    except DatabaseError:
        # The others still say what they know; /status/ says that the database is away.
        log.warning("gauge_not_read", gauge=gauge.name)
    return family
