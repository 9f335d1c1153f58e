"""A version's model card, from facts alone: what the artefact, the dataset and the job say of themselves.

One structure; `templates/modelops/card.html` makes a page of it and `card_text.py` Markdown. What an artefact
of an earlier release does not know is named as missing rather than left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

from apps.core.words import counted
from apps.modelops.common.measures import Cell, Row, Table, breakdowns, main_table
from apps.modelops.common.selectors import artefact_dir, origin_of
from apps.modelops.datasets.summaries import Summary
from apps.modelops.models import ImportedVersion, ModelVersion
from apps.modelops.registry import Domain, domain_named
from apps.modelops.versions.card_lineage import lineage_facts
from apps.modelops.versions.card_parts import Card, Fact, Section
from apps.modelops.versions.curve_charts import CHARTS
from ml.common.artefact import ArtefactError, read_manifest
from ml.common.control import LIMIT as CONTROL_LIMIT
from ml.common.control import SHUFFLED

NOT_KEPT = "This version was made before training kept this."


def manifest_of(version: ModelVersion) -> Mapping[str, Any] | None:
    """The artefact's manifest, None where it is not what was registered."""
    try:
        return read_manifest(artefact_dir(version), version.artefact_hash)
    except ArtefactError:
        return None


def card_of(version: ModelVersion) -> Card:
    domain, manifest = domain_named(version.model.domain), manifest_of(version)
    meta: Mapping[str, Any] = manifest["meta"] if manifest else {}
    origin = origin_of(version)
    sections = (
        Section("Intended use", paragraphs=domain.intended_use),
        _data(version, origin),
        *_measures(version),
        _curves(meta),
        _limits(domain, version, meta),
        _points(version, meta),
        _lineage(version, origin, meta),
        _made_with(meta),
        _artefact(version, origin, manifest),
    )
    return Card(f"{domain.title or domain.name}, version {version.number}", sections)


def curves_of_version(version: ModelVersion) -> dict[str, Any]:
    """Finding -> its curves on test; empty where the artefact keeps none."""
    manifest = manifest_of(version)
    return dict(manifest["meta"].get("curves") or {}) if manifest else {}


def _data(version: ModelVersion, origin: ImportedVersion | None) -> Section:
    """What it learnt from, here or elsewhere."""
    dataset = version.dataset
    here = reverse("modelops:dataset", args=[dataset.pk])
    if origin is None or origin.learnt_here:
        summary, elsewhere = Summary.of(dataset.summary), ""
        facts = [
            Fact("Dataset", dataset.name, here),
            Fact("Frozen", f"{dataset.created_at:%Y-%m-%d %H:%M} UTC"),
        ]
    else:
        summary = Summary.of(origin.dataset_summary)
        elsewhere = "It learnt elsewhere: whether from people or cards that are known here, nobody can tell."
        facts = [Fact("Dataset there", origin.dataset_name), Fact("Judged here by", dataset.name, here)]
    facts += [Fact(title, _number(value)) for title, value in summary.counts]
    # Hashes have a place of their own, under the artefact.
    facts += [Fact(title, text) for title, text in summary.texts if "SHA" not in title]
    for title, rows in summary.tables:
        facts += [Fact(f"{title}: {name}", _number(of)) for name, of in rows if not isinstance(of, Mapping)]
    if summary.splits:
        parts = [f"{one['name']} {one['n']:,} ({one['share']:.0%})" for one in summary.splits]
        facts.append(Fact("Parts", ", ".join(parts)))
    tables = [_counted(title, rows) for title, rows in summary.tables if _is_counted(rows)]
    said = (
        "Parts are assigned once, when the data is frozen. The model learns from one, settings and operating"
        " points are chosen on validation, and the test is scored once, at the end.",
    )
    return Section("Data", paragraphs=said, facts=tuple(facts), tables=tuple(tables), missing=elsewhere)


def _is_counted(rows: list[tuple[str, Any]]) -> bool:
    return bool(rows) and all(isinstance(of, Mapping) and of for _, of in rows)


def _counted(title: str, rows: list[tuple[str, Any]]) -> Table:
    columns = list(dict.fromkeys(name for _, of in rows for name in of))
    heads = [name.replace("_", " ").capitalize() for name in columns]
    made = [
        Row(
            name, "",
            [(head, Cell(of[key]) if key in of else None) for head, key in zip(heads, columns, strict=True)],
        )
        for name, of in rows
    ]  # fmt: skip
    return Table(title, heads, made)


def _measures(version: ModelVersion) -> tuple[Section, ...]:
    champion = version.model.champion
    others = champion is not None and champion.pk != version.pk and champion.tested_on != version.tested_on
    note = (
        f"Version {champion.number} was tested on other data, so its numbers are not set beside these."
        if others and champion
        else ""
    )
    said = ("In brackets: 95 % interval, over patients or cards drawn again.",)
    main = main_table(version, champion)
    return (
        Section("Measures", paragraphs=said, tables=(main,), missing=note, first="Measure"),
        *(Section(one.title, tables=(one,)) for one in breakdowns(version.metrics)),
    )


def _curves(meta: Mapping[str, Any]) -> Section:
    curves = meta.get("curves") or {}
    if not curves:
        return Section("Curves on test", missing=NOT_KEPT)
    said = (
        "Calibration is drawn over bins of as many cases each, with 95 % intervals (Wilson): on the line,"
        " what is said with a probability comes as often as that.",
    )
    tables = tuple(_reliability(name, each["reliability"]) for name, each in curves.items())
    return Section("Curves on test", paragraphs=said, charts=tuple(CHARTS.items()), charted=tables)


def _reliability(name: str, bins: list[list[float]]) -> Table:
    columns = ["Said, mean", "Came", "Cases"]
    rows = [
        Row(
            f"bin {place}", "",
            list(zip(columns, (Cell(said), Cell(seen, low, high), Cell(int(cases))), strict=True)),
        )
        for place, (said, seen, low, high, cases) in enumerate(sorted(bins), start=1)
    ]  # fmt: skip
    return Table(f"Calibration, {name}", columns, rows)


def _points(version: ModelVersion, meta: Mapping[str, Any]) -> Section:
    points = meta.get("operating_points") or version.metrics.get("thresholds") or {}
    facts = [
        Fact(str(name), _number(value) if value is not None else "none") for name, value in points.items()
    ]
    return Section(
        "Operating points",
        paragraphs=("Chosen on validation; they travel inside the artefact.",) if facts else (),
        facts=tuple(facts), missing="" if facts else "None is known.", beside=True,
    )  # fmt: skip


def _limits(domain: Domain, version: ModelVersion, meta: Mapping[str, Any]) -> Section:
    control = (meta.get("config") or {}).get("control") == SHUFFLED
    found = [*([CONTROL_LIMIT] if control else []), *domain.limits]
    if left_out := meta.get("not_taught"):
        found.append(f"Not taught, for want of examples: {', '.join(left_out)}.")
    ages = (meta.get("validated_on") or {}).get("age_years")
    if ages:
        found.append(f"Its data is of people aged {ages[0]:.0f} to {ages[1]:.0f} years.")
    test = version.metrics.get("test", {})
    if isinstance(test.get("n"), int):
        found.append(f"It was tested once, on {counted(test['n'], 'case')}.")
    if not test.get("subgroups"):
        found.append(
            "Whether it serves subgroups alike was not measured: the data names none, or too few of each."
        )
    return Section("Limits", bullets=tuple(found))


def _lineage(version: ModelVersion, origin: ImportedVersion | None, meta: Mapping[str, Any]) -> Section:
    facts = lineage_facts(version, origin, meta)
    missing = "" if meta.get("lineage") else NOT_KEPT
    return Section("Where it comes from", facts=tuple(facts), missing=missing, beside=True)


def _made_with(meta: Mapping[str, Any]) -> Section:
    lineage = meta.get("lineage") or {}
    versions = {"Python": lineage.get("python"), **(lineage.get("libraries") or {})}
    facts = tuple(Fact(name, str(version)) for name, version in versions.items() if version)
    return Section("Made with", facts=facts, missing="" if facts else NOT_KEPT, beside=True)


def _artefact(
    version: ModelVersion, origin: ImportedVersion | None, manifest: Mapping[str, Any] | None
) -> Section:
    files = manifest["files"] if manifest else {}
    data = origin.dataset_sha256 if origin else version.dataset.manifest_sha256
    facts = (
        Fact("Hash", version.artefact_hash, code=True),
        Fact("Dataset's manifest", data, code=True),
        *(Fact(name, _size(of["bytes"])) for name, of in files.items() if "bytes" in of),
    )
    missing = "" if manifest else "The artefact is not on this machine, or not what was registered."
    return Section("Artefact", facts=facts, missing=missing, beside=True)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 100_000 else f"{n_bytes / 1e3:.1f} kB"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
