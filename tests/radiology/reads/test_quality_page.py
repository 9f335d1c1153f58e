"""How good is it here: figures out of reads made before the reveal, each with its interval and its n."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from apps.core.clock import now
from apps.radiology.models import Comparison, Draw, Exposure, Purpose, Read, ReadState, SecondRead, Study
from apps.radiology.quality.quality import SAMPLE, Asked, compared, rows_by
from apps.radiology.quality.readers import kappas, signed_studies, waits
from apps.radiology.quality.services.compare import compare_due_studies

numbers = count()


@pytest.fixture
def cases(site, version):
    """`n` studies read blind: what the model called and what the reader said, without a film behind them."""

    def make(n: int, *, called: bool, present: bool, **given) -> None:
        at = now()
        studies = Study.objects.bulk_create(
            Study(site=site, StudyInstanceUID=f"1.2.9.{next(numbers)}", received_at=at, changed_at=at)
            for _ in range(n)
        )
        about = {"probability": 0.8 if called else 0.1, "weight": 1.0, "site": site, "read_at": at, **given}
        Comparison.objects.bulk_create(
            Comparison(study=study, version=version, label="Effusion", called=called, blind=present,
                       present=present, **about)
            for study in studies
        )  # fmt: skip

    return make


@pytest.fixture
def page(radiologist):
    def get(query: str = "") -> str:
        return radiologist.get(f"/radiology/quality/{query}").content.decode()

    return get


def figures(site, version, **asked):
    wanted = Asked(version=version.pk, finding="Effusion", **asked)
    [row] = rows_by("label", compared(site, wanted), wanted)
    return row


def test_it_works(radiologist, study, read_by, page) -> None:
    """A committed read is in the figures by itself; one is too few to say anything by."""
    assert "Nothing to compare yet" in page()
    read_by(radiologist, study, Effusion="present", Nodule="absent")
    assert compare_due_studies() == 1
    assert compare_due_studies() == 0
    rows = Comparison.objects.order_by("label").values_list("label", "called", "blind", "present")
    assert list(rows) == [("Effusion", True, True, True), ("Nodule", False, False, False)]
    shown = page()
    assert "Pleural effusion" in shown
    assert "too few to say" in shown
    assert "A reader is not ground truth" in shown
    assert "Reads before the reveal" in shown
    assert "draws no sample" in shown


def test_shares_and_their_intervals(site, version, cases, page) -> None:
    cases(45, called=True, present=True)
    cases(5, called=False, present=True)
    cases(10, called=True, present=False)
    cases(90, called=False, present=False)
    row = figures(site, version)
    assert (row.sensitivity.value, row.specificity.value) == (0.9, 0.9)
    assert row.ppv.value == pytest.approx(45 / 55)
    assert (row.sensitivity.n, row.specificity.n, row.ppv.n, row.n) == (50, 100, 55, 150)
    assert row.sensitivity.low == pytest.approx(0.786, abs=1e-3)  # Wilson's, of 45 in 50
    assert row.sensitivity.high == pytest.approx(0.957, abs=1e-3)
    assert row.found.value == pytest.approx(50 / 150)
    assert "0.90" in page()


def test_the_sample_stands_for_what_was_not_raised(site, version, cases) -> None:
    """Of the misses among unraised studies one in twenty was drawn; each counts twenty times."""
    cases(40, called=True, present=True)
    cases(5, called=False, present=True, weight=20.0)
    cases(60, called=False, present=True, weight=None)
    cases(50, called=False, present=False, weight=20.0)
    assert figures(site, version).sensitivity.value == pytest.approx(40 / 105)
    row = figures(site, version, basis=SAMPLE)
    assert (row.sensitivity.value, row.sensitivity.n) == (pytest.approx(40 / 140), 45)
    # 45 cases of unequal weight tell less than 45 equal ones.
    assert row.sensitivity.span > 0.27


def test_a_drawn_study_knows_its_weight(radiologist, study, read_by) -> None:
    Study.objects.update(raised=False)
    Draw.objects.create(study=study, purpose=Purpose.SAMPLE, value=0.01, probability=0.05, at=now())
    read_by(radiologist, study, Effusion="present")
    compare_due_studies()
    assert Comparison.objects.get().weight == 20.0


@pytest.mark.parametrize("spoiled", ["exposure", "retracted", "withdrawn"])
def test_what_is_no_label_is_in_no_figure(radiologist, study, read_by, spoiled) -> None:
    read_by(radiologist, study, Effusion="present")
    compare_due_studies()
    assert Comparison.objects.exists()
    if spoiled == "exposure":
        Read.objects.update(ai_exposure=Exposure.FULL)
    if spoiled == "retracted":
        Read.objects.update(state=ReadState.RETRACTED)
    Study.objects.update(withdrawn=spoiled == "withdrawn", changed_at=now())
    compare_due_studies()
    assert not Comparison.objects.exists()


def test_groups_and_age_by_the_dates_where_no_age_is_given(radiologist, study, read_by) -> None:
    Study.objects.update(PatientSex="F", PatientBirthDate="19800101", StudyDate="20260101")
    read_by(radiologist, study, Effusion="present")
    compare_due_studies()
    row = Comparison.objects.get()
    assert (row.sex, row.age_band, row.view) == ("female", "40 to 64", "PA")


def test_another_sites_reads_are_its_own(cases, site, version, make_user, other_site) -> None:
    from django.test import Client

    cases(30, called=True, present=True)
    stranger = Client()
    stranger.force_login(make_user("radiologist", site=other_site, email="x@south.example"))
    assert "Nothing to compare yet" in stranger.get("/radiology/quality/").content.decode()


def test_the_calibration_curve_has_bands_and_leaves_out_thin_bins(radiologist, cases) -> None:
    cases(30, called=True, present=True, probability=0.85)
    cases(10, called=True, present=False, probability=0.82)
    cases(3, called=False, present=False, probability=0.3)
    curve = radiologist.get("/radiology/quality/reliability.json?finding=Effusion").json()
    [[x, y]] = curve["series"][0]["points"]
    assert (x, y) == (pytest.approx(0.8425, abs=1e-3), 0.75)
    [[_, low, high]] = curve["series"][0]["band"]
    assert low < 0.75 < high
    assert curve["series"][1]["name"] == "as it should be"


def test_turnaround_runs_from_receipt_to_the_first_sign_off(radiologist, study, read_by, site) -> None:
    read_by(radiologist, study, Effusion="present")
    signed = Read.objects.get().signed_at
    Study.objects.update(received_at=signed - timedelta(hours=3))
    [one] = signed_studies(site, None)
    assert one.hours == pytest.approx(3)
    everything, raised, other = waits([one] * 30)
    assert (everything.n, raised.n, other.n) == (30, 30, 0)
    assert everything.quantiles["median"] == pytest.approx((3, 3, 3))
    curve = radiologist.get("/radiology/quality/turnaround.json").json()
    assert curve["series"] == []  # one a week is no picture


def test_a_study_read_anew_after_a_retraction_waited_until_then(
    radiologist, study, read_by, press, site
) -> None:
    read_by(radiologist, study, Effusion="present")
    press(study, "add", addendum="Another patient's film.", retracts="on")
    assert signed_studies(site, None) == []
    again = read_by(radiologist, study, Effusion="present")
    assert [one.signed_at for one in signed_studies(site, None)] == [again.signed_at]


def test_pairs_by_chance_and_pairs_on_request_are_apart(site, version, make_user) -> None:
    """Chance draws like any other study; who asks for a second reader asks about the hard ones."""
    at = now()
    first, second = (make_user("radiologist", email=f"{name}@north.example") for name in "ab")

    def pair(drawn: bool, one: str, other: str, exposure: str = "rank") -> None:
        study = Study.objects.create(
            site=site, StudyInstanceUID=f"1.2.8.{next(numbers)}", received_at=at, changed_at=at
        )
        reads = [
            Read.objects.create(study=study, reader=reader, state="final", ai_exposure=exposure,
                                opened_at=at, committed_at=at, signed_at=at)
            for reader in (first, second)
        ]  # fmt: skip
        for read, verdict in zip(reads, (one, other), strict=True):
            read.marks.create(label="Nodule", verdict=verdict, at=at)
        asked = None if drawn else first
        SecondRead.objects.create(study=study, first=reads[0], read=reads[1], requested_by=asked, at=at)

    for verdicts in [("present", "present")] * 3 + [("absent", "absent")] * 5 + [("present", "absent")] * 2:
        pair(True, *verdicts)
    pair(False, "present", "absent")
    pair(True, "present", "unsure")
    pair(True, "present", "present", exposure="full")
    [row] = kappas(site, None)
    assert (row.drawn.n, row.requested.n) == (10, 1)
    assert row.drawn.kappa == pytest.approx(0.6)
