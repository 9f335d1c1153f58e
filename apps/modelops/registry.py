"""Domains announce themselves here, so that modelops starts their training without importing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from apps.core.errors import LynceusError
from apps.modelops.common.watched import Measure


@dataclass(frozen=True, slots=True)
class Phase:
    """A named part of the domain's training, in the order it runs; `unit` is what its epochs are called."""

    name: str
    title: str
    unit: str = "epoch"


@dataclass(frozen=True, slots=True)
class Include:
    """Something a dataset frozen from a page may hold or leave out."""

    name: str
    title: str
    help: str = ""
    initial: bool = True


@dataclass(frozen=True, slots=True)
class Domain:
    """`trainer` and `evaluator` are dotted paths "package.module:function", loaded only when they run.

    trainer(request: TrainRequest, progress: ProgressCallback) -> TrainResult
    evaluator(artefact_dir: Path, options: Mapping[str, Any]) -> EvaluationReport, where options are the
    arguments of `manage.py evaluate` (images, labels, findings, file, mapping, history, seed) and the form
    that serves (variant).
    scorer(artefact_dir: Path, options: Mapping[str, Any], out: Path, progress: ProgressCallback) -> int, how
    many lines it wrote; options are those of `manage.py score` (images, file, mapping), artefact_hash,
    version and variant.
    fold_trainer(request: TrainRequest, fold: FoldRequest, progress: ProgressCallback) -> Mapping[str, Any]
    learns from other folds of the training part and measures one; empty where there is no cross-validation.
    `check_params(params)` raises ValueError with a sentence for parameters the trainer would not take.
    `config` is the dataclass of those parameters, its fields made by `ml.common.options`: the form asks for
    them. `dataset_command` tells a person with no dataset yet what to run. `operating_page` names the URL of
    the page where a version's thresholds are set, if there is one, `shadow_page` of that where it is put in
    shadow; both take the version's key.

    gate(request: GateRequest, progress: ProgressCallback) -> GateReport (`ml.common.gate`) holds a candidate
    against the champion; a candidate may take `latency_ms` for one example at most.

    What the site's own people said is frozen by
    exporter(site: Site, name: str, includes: frozenset[str], by: User, tell: Tell, base: DatasetSnapshot |
    None) -> DatasetSnapshot, which raises LynceusError or ValueError with a sentence, calls tell(done, total)
    and takes the examples of `base`, a dataset brought along, too;
    news(site: Site, since: datetime | None) -> Mapping[str, int] counts what has come in, in words;
    cases(folder: Path) -> pandas.DataFrame of a frozen dataset: case, part, label.

    `intended_use` and `limits` are sentences of its model cards. `speed` is the path of a function
    (folder: Path, expected_hash: str) -> Mapping[str, float] that times an artefact on this machine (`ms_1`,
    `ms_16`); `examples` that of a module that knows the examples of a dataset (`versions.cases`).

    watcher(site: Site, version: ModelVersion) -> Iterable[Fact] says how the version in service does at a
    site, in facts of `measures` (`common.watched`); reliability(site: Site, version: ModelVersion) ->
    list of [mean probability, observed share, its low and high end, cases], empty where too little is known.
    """

    name: str
    trainer: str
    evaluator: str
    presets: Mapping[str, Mapping[str, Any]]
    check_params: Callable[[Mapping[str, Any]], object]
    title: str = ""
    config: type[Any] | None = None
    phases: tuple[Phase, ...] = ()
    dataset_command: str = ""
    operating_page: str = ""
    gate: str = ""
    latency_ms: float = 1000.0
    exporter: str = ""
    news: str = ""
    cases: str = ""
    includes: tuple[Include, ...] = ()
    intended_use: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    speed: str = ""
    examples: str = ""
    has_pictures: bool = False
    scorer: str = ""
    fold_trainer: str = ""
    shadow_page: str = ""
    watcher: str = ""
    reliability: str = ""
    measures: tuple[Measure, ...] = ()

    def phase(self, name: str) -> Phase:
        """The phase of this name, or a plain one for a name the domain did not announce."""
        return next((one for one in self.phases if one.name == name), Phase(name, name))


_domains: dict[str, Domain] = {}


def register_domain(domain: Domain) -> None:
    _domains[domain.name] = domain


def domain_named(name: str) -> Domain:
    if name not in _domains:
        known = ", ".join(sorted(_domains)) or "none"
        raise LynceusError("unknown_domain", f"There is no domain {name!r}. Known: {known}.", status=404)
    return _domains[name]


def all_domains() -> list[Domain]:
    return [_domains[name] for name in sorted(_domains)]


def load(path: str) -> Any:
    """The function a dotted path names."""
    module, _, function = path.partition(":")
    return getattr(import_module(module), function)
