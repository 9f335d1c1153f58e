"""A film version in shadow scores what another judged: from the same file, once, and unseen by readers."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.modelops.common import places
from apps.modelops.models import ModelVersion
from apps.radiology.analysis.inference import Answer
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.analysis.services.claims import claim
from apps.radiology.analysis.services.outcomes import Outcome, finish
from apps.radiology.common.decoding import reduce_apart
from apps.radiology.common.store import film_path
from apps.radiology.lifecycle.services import follow
from apps.radiology.lifecycle.services.follow import follow_analyses
from apps.radiology.lifecycle.shadow import waiting_age
from apps.radiology.models import Analysis, Finding, Instance, ShadowAnalysis, ShadowFinding, Status
from apps.radiology.tasks import follow_analyses as task
from ml.radiology.contracts import FindingScore, GateVerdict
from tests import films
from tests.promoting import put_in_service
from tests.radiology.shadowing import NO, YES, said, version_of
from tests.radiology.shadowing import analysed as analysed
from tests.radiology.shadowing import begin as begin
from tests.radiology.shadowing import challenger as challenger
from tests.radiology.shadowing import ml_admin as ml_admin
from tests.radiology.shadowing import serving as serving
from tests.radiology.shadowing import shadowing as shadowing
from tests.radiology.shadowing import waits as waits


@pytest.fixture
def real(version, tmp_path_factory, folders) -> ModelVersion:
    """A small trained version in service, which can be loaded."""
    trained = films.tiny_artefact(tmp_path_factory)
    places.artefact_folder(trained.artefact_hash).symlink_to(trained.artefact_dir)
    made = version_of(version, trained.artefact_hash, 5)
    put_in_service(made)
    return made


def test_the_same_artefact_says_what_was_said(real, begin, received, tmp_path_factory) -> None:
    """Through the real door and the real network: the very same stored film, decoded the same way."""
    run = begin(version_of(real, real.artefact_hash, 6))
    for path in sorted(films.tiny_films(tmp_path_factory).glob("*.dcm"))[:4]:
        analyse_instance(received(path.read_bytes()).pk)
    task.run()
    scored = ShadowFinding.objects.filter(shadow__run=run).select_related("beside").order_by("pk")
    assert scored.count() == Finding.objects.count() > 0
    for one in scored:
        assert one.beside.label == one.label
        assert one.probability == pytest.approx(one.beside.probability, abs=1e-6)
        told, ours = (each.operating_point for each in (one, one.beside))
        assert (told, one.positive) == (ours, one.beside.positive)
    assert waiting_age() == (0, None)


def test_each_is_scored_in_order_with_its_own_word(challenger, begin, analysed, shadowing) -> None:
    before = analysed(YES, YES)
    begin(challenger)
    first = analysed(YES, {"Effusion": 0.3, "Nodule": 0.9})
    second = analysed(NO, GateVerdict(False, "outside", "Not like what it learnt from."))
    assert follow_analyses() == 2
    assert follow_analyses() == 0
    assert said() == [(first.pk, "scored", True, True), (second.pk, "not_its", False, False)]
    assert not ShadowAnalysis.objects.filter(analysis=before).exists()
    effusion, nodule = ShadowFinding.objects.order_by("label")
    assert effusion.beside == first.findings.get() and nodule.beside is None
    assert (effusion.positive, nodule.positive, shadowing.shown) == (False, True, [2])
    assert ShadowAnalysis.objects.get(analysis=second).reason == "Not like what it learnt from."


# --- a killed worker loses nothing and doubles nothing ---------------------------------------------


class Killed(BaseException):
    """As a signal ends a worker: no handler of ours sees it."""


def killed_once(monkeypatch, name: str) -> None:
    honest = getattr(follow, name)

    def dies(*given: Any) -> Any:
        monkeypatch.setattr(follow, name, honest)
        honest(*given)
        raise Killed

    monkeypatch.setattr(follow, name, dies)


@pytest.mark.parametrize("where", ["_look", "_keep", "move_on"])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    challenger, begin, analysed, monkeypatch, where
) -> None:
    begin(challenger)
    made = [analysed(YES, NO), analysed(NO, YES)]
    killed_once(monkeypatch, where)
    with pytest.raises(Killed):
        follow_analyses()
    assert said() == []
    made.append(analysed(YES, YES))
    assert follow_analyses() == 3
    assert [row[0] for row in said()] == [one.pk for one in made]
    assert ShadowFinding.objects.count() == 3


def test_were_they_not_written_together_some_would_be_lost(challenger, begin, analysed, monkeypatch) -> None:
    begin(challenger)
    analysed(YES, NO)
    honest = ShadowFinding.objects.bulk_create
    monkeypatch.setattr(follow, "_store", follow._store.__wrapped__)
    with monkeypatch.context() as patch:
        patch.setattr(ShadowFinding.objects, "bulk_create", lambda rows: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            follow_analyses()
    assert ShadowFinding.objects.bulk_create == honest
    follow_analyses()
    assert len(said()) == 1 and not ShadowFinding.objects.exists()


def test_two_workers_at_once_keep_it_once(challenger, begin, analysed, monkeypatch) -> None:
    """The other one is through with it while this one decodes; the database holds to that as well."""
    run = begin(challenger)
    analysed(YES, NO)
    honest = follow._judged

    def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(follow, "_judged", honest)
        follow_analyses()
        return honest(*given)

    monkeypatch.setattr(follow, "_judged", overtaken)
    follow_analyses()
    [row] = run.analyses.all()
    row.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def judged_slowly(instance: Instance, drawn: threading.Event, release: threading.Event) -> None:
    """The analysis draws its key long before it is committed."""
    try:
        with transaction.atomic():
            finish([answered(instance)])
            drawn.set()
            release.wait(60)
    finally:
        connection.close()


def answered(instance: Instance) -> Outcome:
    film = reduce_apart(film_path(instance.site, instance.file_sha256))
    claimed = claim(instance.pk)
    assert claimed is not None
    claimed.pixel_sha256 = film.pixel_sha256
    version = ModelVersion.objects.get(number=3)
    return Outcome(
        claimed, Status.ANALYSED, answer=Answer(version.pk, (FindingScore("Effusion", 0.8, 0.5, True),))
    )


def overtaken(waits, analysed) -> None:
    """An analysis commits after one with a larger key has been followed, several rounds ago."""
    slow = waits(YES, NO)
    drawn, release = threading.Event(), threading.Event()
    other = threading.Thread(target=judged_slowly, args=(slow, drawn, release))
    other.start()
    assert drawn.wait(60)
    analysed(YES, NO)
    for _ in range(5):
        follow_analyses()
    assert len(said()) == 1
    release.set()
    other.join(60)
    for _ in range(5):
        follow_analyses()


@pytest.mark.django_db(transaction=True)
def test_one_that_commits_late_is_not_passed_over(challenger, begin, waits, analysed) -> None:
    begin(challenger)
    overtaken(waits, analysed)
    assert (Analysis.objects.count(), len(said())) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_a_place_that_goes_by_keys_alone_would_pass_it_over(
    challenger, begin, waits, analysed, monkeypatch
) -> None:
    monkeypatch.setattr(follow, "transactions", lambda: (1, 1))
    begin(challenger)
    overtaken(waits, analysed)
    assert (Analysis.objects.count(), len(said())) == (2, 1)


# --- films that cannot be put to it -----------------------------------------------------------------


def replaced_by(kept: Analysis, other: Analysis) -> Path:
    """On the disk there lies another film in its place."""
    paths = [film_path(one.instance.site, one.instance.file_sha256) for one in (kept, other)]
    paths[0].write_bytes(paths[1].read_bytes())
    return paths[0]


def test_other_pixels_than_were_analysed_are_not_scored(challenger, begin, analysed) -> None:
    begin(challenger)
    first, second = analysed(YES, YES), analysed(NO, NO)
    replaced_by(first, second)
    follow_analyses()
    row = ShadowAnalysis.objects.get(analysis=first)
    assert (row.state, row.reason_code, row.findings.count()) == ("failed", "other_pixels", 0)
    assert ShadowAnalysis.objects.get(analysis=second).state == "scored"


def test_without_the_hash_the_other_film_would_be_scored(challenger, begin, analysed, monkeypatch) -> None:
    begin(challenger)
    first, second = analysed(YES, YES), analysed(NO, NO)
    replaced_by(first, second)
    monkeypatch.setattr(
        follow, "reduce_apart", lambda path: replace(reduce_apart(path), pixel_sha256=first.pixel_sha256)
    )
    follow_analyses()
    assert ShadowAnalysis.objects.get(analysis=first).state == "scored"


def test_a_film_whose_file_is_gone_keeps_no_other_waiting(challenger, begin, analysed) -> None:
    begin(challenger)
    first, second = analysed(YES, YES), analysed(NO, NO)
    film_path(first.instance.site, first.instance.file_sha256).unlink()
    follow_analyses()
    assert ShadowAnalysis.objects.get(analysis=first).reason_code == "no_file"
    assert ShadowAnalysis.objects.get(analysis=second).state == "scored"


def test_a_film_the_model_fails_on_takes_no_other_along(challenger, begin, analysed) -> None:
    begin(challenger)
    made = [analysed(YES, YES), analysed(YES, RuntimeError), analysed(NO, NO)]
    assert follow_analyses() == 3
    states = dict(ShadowAnalysis.objects.values_list("analysis", "reason_code").order_by("analysis"))
    assert states == {made[0].pk: "", made[1].pk: "model_failed", made[2].pk: ""}


def test_were_they_not_taken_apart_all_would_wait(challenger, begin, analysed, monkeypatch) -> None:
    begin(challenger)
    analysed(YES, YES), analysed(YES, RuntimeError)
    monkeypatch.setattr(follow, "_answers", follow.predict)
    with pytest.raises(RuntimeError):
        follow_analyses()
    assert said() == []


def test_with_a_failing_disk_all_wait_and_the_run_says_so(challenger, begin, analysed, failing_disk) -> None:
    run = begin(challenger)
    analysed(YES, YES)
    with failing_disk():
        assert follow_analyses() == 0
    run.refresh_from_db()
    assert "disk failed" in run.trouble and waiting_age()[0] == 1
    assert follow_analyses() == 1
    run.refresh_from_db()
    assert run.trouble == ""


def test_what_it_said_goes_with_the_film(challenger, begin, analysed) -> None:
    begin(challenger)
    made = analysed(YES, NO)
    follow_analyses()
    made.instance.delete()
    assert not ShadowAnalysis.objects.exists() and not ShadowFinding.objects.exists()
