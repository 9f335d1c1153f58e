"""Domains announce themselves here, so that modelops starts their training without importing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from apps.core.errors import LynceusError


@dataclass(frozen=True, slots=True)
class Phase:
    """A named part of the domain's training, in the order it runs; `unit` is what its epochs are called."""

    name: str
    title: str
    unit: str = "epoch"


@dataclass(frozen=True, slots=True)
class Domain:
    """`trainer` and `evaluator` are dotted paths "package.module:function", loaded only when they run.

    trainer(request: TrainRequest, progress: ProgressCallback) -> TrainResult
    evaluator(artefact_dir: Path, options: Mapping[str, Any]) -> EvaluationReport, where options are the
    arguments of `manage.py evaluate` (images, labels, findings, file, mapping, history, seed).
    `check_params(params)` raises ValueError with a sentence for parameters the trainer would not take.
    `config` is the dataclass of those parameters, its fields made by `ml.common.options`: the form asks for
    them. `dataset_command` tells a person with no dataset yet what to run. `operating_page` names the URL of
    the page where a version's thresholds are set, if there is one; it takes the version's key.
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
