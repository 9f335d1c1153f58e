"""Other pixels under a known SOPInstanceUID: kept apart, shown to a person, served to nobody."""

from __future__ import annotations

import pytest

from apps.audit.models import AuditEvent
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.analysis.services.claims import overdue
from apps.radiology.common.store import aside_path
from apps.radiology.intake.services import aside
from apps.radiology.models import Instance, KeptAside, Study
from tests.radiology.conftest import as_file, film
from tests.radiology.test_corrections import again


def test_it_works(send, radiologist, client, token, folders) -> None:
    data = film()
    send(as_file(data))
    other = as_file(again(data, seed=1))
    [row] = send(other)
    assert (row["state"], row["code"]) == ("refused", "instance_conflict")
    kept, instance = KeptAside.objects.get(), Instance.objects.get()
    assert aside_path(kept.site, kept.file_sha256).read_bytes() == other
    assert (folders / "films" / str(kept.site_id) / "aside").stat().st_mode & 0o777 == 0o700

    analyse_instance(instance.pk)
    asked = {"authorization": f"Bearer {token}"}
    served = client.get(f"/dicom-web/studies/{data.StudyInstanceUID}", headers=asked)
    served = b"".join(served.streaming_content)
    assert as_file(data) in served
    assert other not in served
    study = f"/radiology/studies/{Study.objects.get().public_id}/"
    assert "kept aside" in radiologist.get(study).content.decode()

    address = f"/radiology/aside/{kept.public_id}/"
    page = radiologist.get(address).content.decode()
    assert f"{address}image.png" in page
    assert "Nothing but the pixels." in page
    picture = b"".join(radiologist.get(f"{address}image.png").streaming_content)
    film_picture = radiologist.get(f"/radiology/instances/{instance.public_id}/image.png")
    assert picture != b"".join(film_picture.streaming_content)
    assert AuditEvent.objects.filter(action="aside.viewed").count() == 2

    page = radiologist.post(f"{address}settle/", follow=True).content.decode()
    assert "compare them" not in page
    radiologist.post(f"{address}settle/")
    assert AuditEvent.objects.filter(action="aside.settled").count() == 1
    assert "Seen by" in radiologist.get(address).content.decode()


@pytest.mark.parametrize("changes", [{"seed": 1}, {"Rows": 48}, {"PhotometricInterpretation": "MONOCHROME1"}])
def test_whatever_is_seen_otherwise_is_another_image(send, stored, changes) -> None:
    data = film()
    send(as_file(data))
    [row] = send(as_file(again(data, **changes)))
    assert row["code"] == "instance_conflict"
    assert KeptAside.objects.count() == 1
    assert Study.objects.count() == Instance.objects.count() == 1


def test_the_same_again_is_kept_once_and_nothing_is_analysed(send, stored) -> None:
    data = film()
    send(as_file(data))
    rows = [send(as_file(again(data, seed=1)))[0] for _ in range(2)]
    assert [row["code"] for row in rows] == ["instance_conflict"] * 2
    assert KeptAside.objects.count() == 1
    assert overdue().count() == 0  # the film is young; what lies aside is no instance
    assert len(stored()) == 3


def test_so_many_are_kept_and_no_more(send, monkeypatch, stored) -> None:
    monkeypatch.setattr(aside, "ASIDE_MAX", 2)
    data = film()
    send(as_file(data))
    for seed in (1, 2, 3):
        assert send(as_file(again(data, seed=seed)))[0]["code"] == "instance_conflict"
    assert KeptAside.objects.count() == 2


def test_nothing_stays_where_the_database_fails(send, stored, monkeypatch) -> None:
    data = film()
    send(as_file(data))
    held = stored()

    def fail(*args, **kwargs) -> None:
        raise RuntimeError("the audit row could not be written")

    monkeypatch.setattr(aside, "record", fail)
    with pytest.raises(RuntimeError):
        send(as_file(again(data, seed=1)))
    assert not KeptAside.objects.exists()
    assert stored() == held
