"""What has come in since the site's own labels were last frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from apps.accounts.models import Site
from apps.modelops.common.selectors import champion
from apps.modelops.datasets.services.datasets import TOGETHER
from apps.modelops.models import DatasetSnapshot, Freeze
from apps.modelops.registry import Domain, load


@dataclass(frozen=True, slots=True)
class News:
    """`since`: the last dataset of the site's own labels; `counts` by what they are; `freeze` under way."""

    since: DatasetSnapshot | None
    counts: Mapping[str, int]
    freeze: Freeze | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def news_of(site: Site, domain: Domain) -> News | None:
    """None for a domain whose datasets are not frozen from a page."""
    if not domain.exporter:
        return None
    last = own_datasets(site, domain.name).first()
    running = Freeze.objects.filter(site=site, domain=domain.name).order_by("-pk").first()
    counts = load(domain.news)(site, frozen_as_of(last) if last else None)
    return News(last, counts, running if running and running.is_open else None)


def own_datasets(site: Site, domain: str) -> QuerySet[DatasetSnapshot]:
    """Of what the site's own people said, the newest first: only their exporters write `as_of`."""
    return DatasetSnapshot.objects.filter(site=site, domain=domain, summary__has_key="as_of").order_by("-pk")


def brought_datasets(site: Site, domain: str) -> QuerySet[DatasetSnapshot]:
    """Imported or simulated, the newest first: what people say here can be frozen together with one."""
    found = DatasetSnapshot.objects.filter(site=site, domain=domain)
    return found.exclude(summary__has_key="as_of").order_by("-pk")


def base_in_service(site: Site, domain: str) -> DatasetSnapshot | None:
    """What was brought along of what taught the version that serves."""
    serving = champion(domain)
    if serving is None:
        return None
    name = serving.dataset.summary.get("provenance", {}).get(TOGETHER, serving.dataset.name)
    return brought_datasets(site, domain).filter(name=name).first()


def frozen_as_of(dataset: DatasetSnapshot) -> datetime:
    return datetime.fromisoformat(dataset.summary["as_of"])
