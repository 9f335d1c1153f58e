"""Look at the version in service of each domain, site by site: keep what is read, open and close alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta

import structlog
from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import champion
from apps.modelops.common.watched import Fact, Measure, claimed, held_to, is_back, is_beyond, sentence_of
from apps.modelops.models import Alarm, AlarmLimit, HourlyCost, ModelVersion, WatchReading, WatchRound
from apps.modelops.registry import Domain, all_domains, domain_named, load
from apps.modelops.watch.services.alarms import close_alarm, open_alarm, open_alarms_of

log = structlog.get_logger(__name__)
TASK = "modelops.watch"
EVERY = timedelta(minutes=10)
KEPT = timedelta(days=400)
FIELDS = ("at", "version_id", "value", "low", "high", "n", "reference", "says")


def ring_for_watch() -> int:
    """For the sweeper: a bell for each domain that is due. One that is lost is rung again next time."""
    watched = [one.name for one in all_domains() if one.watcher]
    at, rung = now(), 0
    known = set(WatchRound.objects.filter(domain__in=watched).values_list("domain", flat=True))
    missing = [WatchRound(domain=name, due_at=at) for name in watched if name not in known]
    WatchRound.objects.bulk_create(missing, ignore_conflicts=True)
    for name in watched:
        if WatchRound.objects.filter(domain=name, due_at__lte=at).update(due_at=at + EVERY):
            ring(TASK, name)
            rung += 1
    return rung


def watch_domain(name: str) -> int:
    """Every site, each for itself; returns of how many something is known."""
    domain = domain_named(name)
    version = champion(name)
    if not domain.watcher or version is None:
        return 0
    seen = 0
    for site in Site.objects.order_by("pk"):
        try:
            seen += watch_site(site, domain, version)
        except Exception as error:  # what fails at one site says nothing of the next
            log.exception("watch_failed", domain=name, site=site.slug, error=type(error).__name__)
    WatchReading.objects.filter(domain=name, hour__lt=now() - KEPT).delete()
    HourlyCost.objects.filter(version__model__domain=name, hour__lt=now() - KEPT).delete()
    return seen


def watch_site(site: Site, domain: Domain, version: ModelVersion) -> bool:
    """False where nothing at all is known: then nothing is kept."""
    measures = {one.name: one for one in domain.measures}
    found: Iterable[Fact] = load(domain.watcher)(site, version)
    facts = [claimed(measures[fact.measure], fact) for fact in found]
    if not any(fact.n for fact in facts):
        return False
    limits, alarms = limits_of(site, domain), open_alarms_of(site, domain.name)
    with transaction.atomic():
        _keep(site, domain, version, facts)
        for fact in facts:
            _judge(site, domain, version, measures[fact.measure], fact, limits, alarms.get(fact.measure))
    return True


def limits_of(site: Site, domain: Domain) -> dict[str, float | None]:
    """By measure, the site's own where it set one; None for no alarm."""
    own = AlarmLimit.objects.filter(site=site, domain=domain.name).values_list("measure", "limit")
    return {one.name: one.limit for one in domain.measures} | dict(own)


@transaction.atomic
def set_limits(*, site: Site, domain: Domain, limits: Mapping[str, float | None], by: User) -> bool:
    """True where one changed. Raises LynceusError for an unknown measure and a limit out of its range."""
    known, before, at = {one.name: one for one in domain.measures}, limits_of(site, domain), now()
    for name, limit in limits.items():
        measure = known.get(name)
        if measure is None or not (limit is None or measure.least <= limit <= measure.most):
            raise LynceusError("invalid_limit", f"The limit of {name!r} cannot be {limit}.", status=422)
    changed = {name: limit for name, limit in limits.items() if limit != before[name]}
    for name, limit in changed.items():
        AlarmLimit.objects.update_or_create(
            site=site, domain=domain.name, measure=name, defaults={"limit": limit, "by": by, "at": at}
        )
    if changed:
        detail = {"domain": domain.name, "before": {n: before[n] for n in changed}, "after": changed}
        record("alarm.limits_set", site=site, actor=by, subject=f"site:{site.pk}", detail=detail)
    return bool(changed)


def _keep(site: Site, domain: Domain, version: ModelVersion, facts: Iterable[Fact]) -> None:
    """The last look of an hour stands for it."""
    at = now()
    hour = at.replace(minute=0, second=0, microsecond=0)
    WatchReading.objects.bulk_create(
        [
            WatchReading(
                site=site, domain=domain.name, hour=hour, at=at, version=version,
                **asdict(fact) | {"says": fact.says[:200]},
            )
            for fact in facts
        ],
        update_conflicts=True, unique_fields=["site", "domain", "measure", "hour"], update_fields=FIELDS,
    )  # fmt: skip


def _judge(
    site: Site, domain: Domain, version: ModelVersion, measure: Measure, fact: Fact,
    limits: Mapping[str, float | None], alarm: Alarm | None,
) -> None:  # fmt: skip
    """What nobody can say now leaves an alarm as it is."""
    limit = limits[measure.name]
    bound = None if limit is None else held_to(measure, limit, fact.reference)
    if alarm is not None and (limit is None or alarm.version_id != version.pk):
        close_alarm(alarm, value=fact.value)  # nobody asks for it any more, or the version no longer serves
        alarm = None
    if limit is None or bound is None or fact.value is None:
        return
    if alarm is not None:
        if is_back(measure, fact, bound, limit):
            close_alarm(alarm, value=fact.value)
    elif is_beyond(measure, fact, bound):
        open_alarm(
            site=site, domain=domain.name, measure=measure.name, version=version, value=fact.value,
            limit=bound, sentence=sentence_of(measure, fact, bound, version.number),
        )  # fmt: skip
