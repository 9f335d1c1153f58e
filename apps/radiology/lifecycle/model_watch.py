"""How the film model in service does at a site: by its reads, by what its films are like, by its pace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.words import counted
from apps.modelops.common.places import dataset_folder
from apps.modelops.common.selectors import promotion_of
from apps.modelops.common.watched import Fact
from apps.modelops.models import DatasetSnapshot, ModelVersion
from apps.modelops.versions.variants import variants_of
from apps.modelops.watch.services.costs import spent_since
from apps.radiology.models import NOT_REJECTED, Comparison, Instance, Status, Study
from apps.radiology.models.orders import SHOWN
from apps.radiology.quality.quality import ENOUGH
from apps.radiology.quality.services.compare import age_band_of
from ml.common.curves import curves
from ml.common.metrics import (
    bootstrap_intervals,
    brier,
    expected_calibration_error,
    quantile_interval,
    roc_auc,
    wilson_interval,
)
from ml.radiology.ages import SEXES, age_years, band_of
from ml.radiology.imagegate import OUTSIDE

READS, FILMS, DAY = timedelta(days=90), timedelta(days=7), timedelta(days=1)
ROWS = 20_000  # of each at most, the newest
ROUNDS = 100
WEEKS = 4
FILM = (
    "status", "reason_code", "received_at", "analysed_at", "ViewPosition", "study__PatientSex",
    "study__PatientAge", "study__PatientBirthDate", "study__StudyDate", "Modality", "Manufacturer",
)  # fmt: skip
AS_WRITTEN = {"view_mix": "view", "modality_mix": "modality", "maker_mix": "manufacturer"}
Floats = npt.NDArray[np.float64]


def watch(site: Site, version: ModelVersion) -> Iterator[Fact]:
    yield from _by_reads(_reads(site, version), version)
    films = _films(site, version)
    yield _unusual(films)
    yield from _mixes(films, version)
    yield _volume(site)
    yield _latency(films)
    yield _cost(version)


def reliability(site: Site, version: ModelVersion) -> list[list[float]]:
    """Over all findings together."""
    reads = _reads(site, version)
    known = ~np.isnan(reads.truth)
    found = curves(reads.truth[known].astype(np.int64), reads.said[known])
    return found["reliability"] if found and known.any(1).sum() >= ENOUGH else []


@dataclass(frozen=True, slots=True)
class Reads:
    """(studies, findings), NaN where unknown: `truth` 0/1, `said` probabilities, `called` 0/1."""

    patients: Sequence[str]
    labels: Sequence[str]
    truth: Floats
    said: Floats
    called: Floats


def _reads(site: Site, version: ModelVersion) -> Reads:
    rows = Comparison.objects.filter(
        site=site, version=version, present__isnull=False, read_at__gte=now() - READS
    ).order_by("-read_at", "study", "label")
    columns = ("study", "study__PatientID", "label", "present", "probability", "called")
    told = list(rows.values_list(*columns)[:ROWS])
    studies = {study: place for place, study in enumerate(dict.fromkeys(one[0] for one in told))}
    labels = sorted({one[2] for one in told})
    column = {label: place for place, label in enumerate(labels)}
    truth, said, called = (np.full((len(studies), len(labels)), np.nan) for _ in range(3))
    patients = [""] * len(studies)
    for study, patient, label, present, probability, call in told:
        at = studies[study], column[label]
        truth[at], said[at] = present, probability
        called[at] = np.nan if call is None else call
        patients[studies[study]] = patient or f"study {study}"
    return Reads(patients, labels, truth, said, called)


def _share(of: int) -> Callable[[Any, Any, Any], float | None]:
    """Sensitivity (1) or specificity (0) of what has an operating point."""

    def share(truth: Floats, said: Floats, called: Floats) -> float | None:
        those = (truth == of) & ~np.isnan(called)
        return float((called[those] == of).mean()) if those.any() else None

    return share


MEASURED: Mapping[str, Callable[[Any, Any, Any], float | None]] = {
    "auc": lambda truth, said, called: roc_auc(truth, said),
    "sensitivity": _share(1),
    "specificity": _share(0),
    "brier": lambda truth, said, called: brier(truth, said),
    "ece": lambda truth, said, called: expected_calibration_error(truth, said),
}


def _by_reads(reads: Reads, version: ModelVersion) -> Iterator[Fact]:
    """Means over findings, and the version's own test over the same ones. A finding that the test could not
    measure is left out, unless it measured none."""
    tested = {name: _at_test(version, name, reads.labels) for name in MEASURED}
    columns = {
        name: [i for i, value in enumerate(each) if value is not None] or list(range(len(each)))
        for name, each in tested.items()
    }

    def of(rows: Any) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for name, measure in MEASURED.items():
            each = {i: _known(measure, reads, rows, i) for i in columns[name]}
            found |= {f"{i} {name}": value for i, value in each.items()}
            found[name] = _mean(each.values())
        return found

    everything = np.arange(len(reads.patients))
    values = of(everything)
    intervals = bootstrap_intervals(of, reads.patients, rounds=ROUNDS, seed=0) if len(everything) else {}
    positives, negatives = int((reads.truth == 1).sum()), int((reads.truth == 0).sum())
    n = {"auc": min(positives, negatives), "sensitivity": positives, "specificity": negatives}
    for name in MEASURED:
        low, high = intervals.get(name, (None, None))
        reference = _mean(tested[name][i] for i in columns[name] if values[f"{i} {name}"] is not None)
        yield Fact(
            name, values[name], n.get(name, len(everything)), low, high, reference,
            f"{counted(len(everything), 'study', 'studies')} read, findings present in them: {positives:,}",
        )  # fmt: skip


def _mean(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return float(np.mean(told)) if told else None


def _known(measure: Callable[..., float | None], reads: Reads, rows: Any, column: int) -> float | None:
    truth = reads.truth[rows, column]
    known = ~np.isnan(truth)
    if not known.any():
        return None
    return measure(truth[known], reads.said[rows, column][known], reads.called[rows, column][known])


def _at_test(version: ModelVersion, name: str, labels: Sequence[str]) -> list[float | None]:
    findings = version.metrics.get("test", {}).get("findings", {})
    return [findings.get(label, {}).get(name) for label in labels]


def _films(site: Site, version: ModelVersion) -> list[Mapping[str, Any]]:
    """Of a week, but not from before the version served; the newest first."""
    promoted = promotion_of(version)
    since = max(now() - FILMS, promoted.at) if promoted else now() - FILMS
    studies = Study.objects.filter(SHOWN, site=site, received_at__gte=since)
    films = Instance.objects.filter(
        NOT_REJECTED, study__in=studies, status__in=(Status.ANALYSED, Status.NOT_ANALYSED)
    ).order_by("-received_at", "-pk")
    return list(films.values(*FILM)[:ROWS])


def _analysed(films: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [film for film in films if film["status"] == Status.ANALYSED]


def _unusual(films: Sequence[Mapping[str, Any]]) -> Fact:
    outside = sum(film["reason_code"] == OUTSIDE.code for film in films)
    n = len(_analysed(films)) + outside
    if not n:
        return Fact("unusual", None, says="No film was judged in 7 days.")
    low, high = wilson_interval(outside / n, n)
    says = f"{outside:,} of {counted(n, 'film')} of 7 days turned away for it"
    return Fact("unusual", outside / n, n, low, high, says=says)


def _mixes(films: Sequence[Mapping[str, Any]], version: ModelVersion) -> Iterator[Fact]:
    those = _analysed(films)
    here = {
        "view_mix": [film["ViewPosition"].upper() for film in those],
        "age_mix": [_age_band(film) for film in those],
        "sex_mix": [SEXES.get(film["study__PatientSex"].upper(), "") for film in those],
        "modality_mix": [film["Modality"].upper() for film in those],
        "maker_mix": [film["Manufacturer"].strip().upper() for film in those],
    }
    try:
        then = _training_mixes(version.dataset_id)
    except OSError:
        then = {}
    for name, groups in here.items():
        yield _mix(name, Counter(groups), then.get(name, Counter()))


def _mix(name: str, here: Counter[str], then: Counter[str]) -> Fact:
    """Half the sum of differences of the shares: so much would have to change group."""
    n, known = here.total(), then.total() - then[""]
    if not n or not known:
        return Fact(name, None, says="No film in 7 days." if known else "The training films do not say.")
    moved = {group: here[group] / n - then[group] / then.total() for group in {*here, *then}}
    most = sorted(moved, key=lambda group: (-round(abs(moved[group]), 6), group))[:3]
    says = "; ".join(
        f"{group or 'not given'} {here[group] / n:.0%}, in training {then[group] / then.total():.0%}"
        for group in most
    )
    return Fact(name, sum(map(abs, moved.values())) / 2, n, says=says)


@lru_cache(maxsize=4)
def _training_mixes(dataset_id: int) -> Mapping[str, Counter[str]]:
    """Of the part that taught; a frozen dataset never changes. Raises OSError where it is not here."""
    import pyarrow.parquet as pq

    dataset = DatasetSnapshot.objects.select_related("site").get(pk=dataset_id)
    folder = dataset_folder(dataset.site, dataset.domain, dataset.name)
    table = pq.read_table(folder / "films.parquet").to_pandas()
    table = table[table["split"] == "train"]
    ages = [band_of(age_years(text)) for text in _texts(table, "meta:age")]
    sexes = [SEXES.get(text.upper(), "") for text in _texts(table, "meta:sex")]
    found = {"age_mix": Counter(ages), "sex_mix": Counter(sexes)}
    for name, column in AS_WRITTEN.items():
        found[name] = Counter(text.upper() for text in _texts(table, f"meta:{column}"))
    return found


def _texts(table: Any, name: str) -> list[str]:
    column = next((one for one in table.columns if one.lower() == name), None)
    return [""] * len(table) if column is None else [str(one).strip() for one in table[column]]


def _age_band(film: Mapping[str, Any]) -> str:
    names = ("PatientAge", "PatientBirthDate", "StudyDate")
    return age_band_of(Study(**{name: film[f"study__{name}"] for name in names}))


def _volume(site: Site) -> Fact:
    def received(until: datetime) -> int:
        within = {"received_at__gte": until - DAY, "received_at__lt": until}
        return Study.objects.filter(SHOWN, site=site, **within).count()

    at = now()
    today, *before = (received(at - timedelta(weeks=week)) for week in range(WEEKS + 1))
    usual = sum(before) / WEEKS
    if not all(before):
        return Fact("volume", None, sum(before), says=f"Studies came in on fewer than {WEEKS} such days.")
    return Fact("volume", today / usual, sum(before), says=f"{today:,} in 24 hours, usually {usual:,.0f}")


def _latency(films: Sequence[Mapping[str, Any]]) -> Fact:
    since = now() - DAY
    took = [
        (film["analysed_at"] - film["received_at"]).total_seconds()
        for film in _analysed(films)
        if film["received_at"] >= since and film["analysed_at"]
    ]
    if not took:
        return Fact("latency", None, says="No film in 24 hours.")
    value, low, high = quantile_interval(np.array(took), 0.95)
    return Fact("latency", value, len(took), low, high, says=f"{counted(len(took), 'film')} of 24 hours")


def _cost(version: ModelVersion) -> Fact:
    """Of this host's workers, whatever site they work for; before they did, as training measured it."""
    n, cpu_s = spent_since(version, now() - DAY)
    if n:
        return Fact("cost", cpu_s / n, n, says=f"{counted(n, 'film')} of 24 hours, of every site")
    serving = next((one for one in variants_of(version) if one.serves), None)
    if serving is None:
        return Fact("cost", None, says="No film in 24 hours, and training did not measure it.")
    says = "No film in 24 hours: as measured by training, on its machine"
    return Fact("cost", serving.cpu_s_per_1000 / 1000, says=says)
