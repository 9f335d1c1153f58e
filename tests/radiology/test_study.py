"""One study's page: the film, what became of it, and what the model said, live."""

from __future__ import annotations

import html
import io
import re

import numpy as np
import pytest
from django.test import Client
from PIL import Image

from apps.audit.models import AuditEvent
from apps.radiology.analysis.inference import Answer
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.analysis.services.claims import claim
from apps.radiology.analysis.services.outcomes import Outcome, finish
from apps.radiology.common.store import picture_path
from apps.radiology.models import Instance, Status, Study
from ml.radiology.contracts import FindingScore
from ml.radiology.vocabulary import NOT_LOOKED_FOR
from tests.radiology.conftest import as_file, film

pytestmark = pytest.mark.usefixtures("concurrent")


@pytest.fixture
def page_of(radiologist):
    def get(instance: Instance, query: str = "") -> str:
        answer = radiologist.get(f"/radiology/studies/{instance.study.public_id}/{query}")
        assert answer.status_code == 200
        return answer.content.decode()

    return get


def live_address(page: str) -> str:
    return html.unescape(re.search(r'id="analysis"[^>]*?hx-get="([^"]+)"', page, re.S)[1])


def test_it_works(received, judged, page_of) -> None:
    instance = received()
    analyse_instance(instance.pk)
    judged(instance, Effusion=(0.83, 0.41), Nodule=(0.1, 0.3))
    page = page_of(instance)
    assert f'data-film="/dicom-web/studies/{instance.study.StudyInstanceUID}/series/' in page
    assert "data-viewer" in page
    assert "Raised by AI: pleural effusion." in page
    assert "Looked for: nodule, pleural effusion." in page
    assert "0.41" in page  # no probability without its operating point
    assert "Model version 3" in page
    assert "Research use. Not a medical device." in page
    assert AuditEvent.objects.filter(action="study.viewed", subject=f"study:{instance.study_id}").exists()


def test_without_an_operating_point_nothing_is_called_and_the_page_says_why(
    received, judged, page_of
) -> None:
    instance = received()
    analyse_instance(instance.pk)
    judged(instance, Nodule=(0.99, None), Effusion=(0.1, 0.4))
    page = page_of(instance)
    assert "insufficient evidence for an operating point: not called" in page
    assert "0.99" in page and "None" not in page
    # A number without a call comes after those with one, and raises nothing.
    assert page.index('name ai-mark">pleural effusion') < page.index('name ai-mark">nodule')
    instance.study.refresh_from_db()
    assert not instance.study.raised


def test_what_is_called_shows_where_the_model_looked(received, version, page_of, radiologist) -> None:
    instance = received()
    analyse_instance(instance.pk)
    looked = np.full((4, 4), 200, np.uint8)
    findings = (FindingScore("Effusion", 0.8, 0.4, True, looked), FindingScore("Nodule", 0.1, 0.4, False))
    claimed = claim(instance.pk)
    finish([Outcome(claimed, Status.ANALYSED, answer=Answer(version.pk, findings))])
    page = page_of(instance)
    assert "Model attention: pleural effusion" in page and "Model attention: nodule" not in page
    address = f"/radiology/instances/{instance.public_id}/attention/Effusion.png"
    assert address in page
    answer = radiologist.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    overlay = Image.open(io.BytesIO(answer.content)).convert("RGBA")
    assert overlay.getpixel((0, 0))[3] == 120
    assert radiologist.get(address.replace("Effusion", "Nodule")).status_code == 404


def test_before_it_is_decoded_the_page_waits_and_then_shows_the_film(received, page_of, radiologist) -> None:
    instance = received()
    page = page_of(instance)
    assert "The film is on its way" in page
    live = live_address(page)
    assert radiologist.get(live).status_code == 204
    analyse_instance(instance.pk)
    answer = radiologist.get(live)
    assert answer.status_code == 200
    assert "data-viewer" in answer.content.decode()
    assert "no model is in service yet" in answer.content.decode()


def test_a_final_state_is_not_polled(received, page_of) -> None:
    instance = received(Modality="CT")
    assert "hx-trigger" in page_of(instance).split('id="analysis"')[1]
    analyse_instance(instance.pk)
    assert "hx-trigger" not in page_of(instance).split('id="analysis"')[1]


def test_not_analysed_gives_the_reason_and_still_shows_the_film(received, page_of) -> None:
    instance = received(ViewPosition="LL")
    analyse_instance(instance.pk)
    page = page_of(instance)
    assert "Not analysed: lateral view." in page
    assert "data-viewer" in page


def test_unreadable_gives_the_reason_and_no_viewer(received, page_of) -> None:
    instance = received(Rows=200)
    analyse_instance(instance.pk)
    page = page_of(instance)
    assert "ends before its image does" in page
    assert "data-viewer" not in page


def test_one_film_of_several_can_be_chosen(received, page_of) -> None:
    data = film()
    first, second = received(as_file(data)), received(StudyInstanceUID=data.StudyInstanceUID)
    for instance in (first, second):
        analyse_instance(instance.pk)
    for instance in (first, second):
        page = page_of(instance, f"?film={instance.public_id}")
        assert f'/instances/{instance.SOPInstanceUID}"' in page.split("data-film=")[1].split(">")[0]
    assert page_of(first, "?film=nonsense").count("data-viewer") == 1


def test_the_film_is_a_greyscale_png_and_its_viewing_is_audited(received, radiologist) -> None:
    instance = received()
    path = f"/radiology/instances/{instance.public_id}/image.png"
    assert radiologist.get(path).status_code == 404
    analyse_instance(instance.pk)
    answer = radiologist.get(path)
    image = Image.open(io.BytesIO(b"".join(answer.streaming_content)))
    assert (image.size, image.mode) == ((80, 96), "L")
    assert "no-store" in answer["Cache-Control"]
    assert AuditEvent.objects.filter(action="film.viewed", subject=f"instance:{instance.pk}").count() == 1
    picture_path(instance.site, instance.file_sha256).unlink()
    assert radiologist.get(path).status_code == 404


def test_the_sender_can_follow_one_film(received, judged, radiologist) -> None:
    instance = received()
    path = f"/radiology/instances/{instance.public_id}/status/"
    assert radiologist.get(path).json() == {
        "state": "waiting", "code": "received", "tone": "neutral", "message": "", "done": False,
    }  # fmt: skip
    judged(instance, Effusion=(0.83, 0.41))
    assert radiologist.get(path).json() == {
        "state": "analysed",
        "code": "analysed",
        "tone": "neutral",
        "message": f"Raised by AI: pleural effusion. Looked for: pleural effusion. {NOT_LOOKED_FOR}",
        "done": True,
    }


def test_a_film_that_cannot_be_read_looks_the_same_everywhere(received, page_of, radiologist) -> None:
    instance = received(Rows=200)
    analyse_instance(instance.pk)
    answer = radiologist.get(f"/radiology/instances/{instance.public_id}/status/").json()
    assert (answer["state"], answer["tone"]) == ("unreadable", "critical")
    for page in (page_of(instance), radiologist.get("/radiology/").content.decode()):
        chip = re.search(r'<span class="chip critical">.*?</span>', page, re.S)
        assert chip
        assert "#alert" in chip[0]
        assert "unreadable" in chip[0]


def test_what_is_read_out_stands_beside_what_is_swapped(received, judged, page_of, radiologist) -> None:
    instance = received()
    page = page_of(instance)
    assert "aria-live" not in page.split('id="analysis"')[1]
    assert page.count('id="analysis-said"') == 1
    live = live_address(page)
    judged(instance, Effusion=(0.83, 0.41))
    said = radiologist.get(live).content.decode().split('id="analysis-said"')[1]
    assert 'hx-swap-oob="innerHTML"' in said
    assert "Raised by AI: pleural effusion" in said


def test_what_a_person_or_program_got_is_stored_nowhere(
    received, page_of, radiologist, client, token
) -> None:
    instance = received()
    uid = instance.study.StudyInstanceUID
    study = f"/radiology/studies/{instance.study.public_id}/"
    for path in ("/radiology/", study, f"/api/v1/studies/{uid}", f"/dicom-web/studies/{uid}", "/status/"):
        assert "no-store" in radiologist.get(path)["Cache-Control"], path
    radiologist.logout()
    for path in (f"/api/v1/studies/{uid}", f"/dicom-web/studies/{uid}"):
        answer = client.get(path, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store", path
    assert "no-store" not in client.get("/livez").headers.get("Cache-Control", "")


def test_without_the_middleware_a_program_might_leave_a_study_in_a_cache(received, token, settings) -> None:
    uid = received().study.StudyInstanceUID
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if not one.endswith("no_store")]
    answer = Client().get(f"/dicom-web/studies/{uid}", headers={"authorization": f"Bearer {token}"})
    assert "Cache-Control" not in answer


def test_no_patient_stands_in_an_address(received, page_of) -> None:
    page = page_of(received())
    for address in re.findall(r'(?:href|src|hx-get|data-src)="([^"]*)"', page):
        assert "4711" not in address
        assert "Doe" not in address


def test_what_a_header_says_is_text_and_no_markup(received, page_of) -> None:
    instance = received(PatientName="<script>alert(1)</script>", StudyDescription='"><b>x</b>')
    analyse_instance(instance.pk)
    page = page_of(instance)
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page


def test_another_sites_study_is_not_found(received, radiologist, other_site) -> None:
    instance = received()
    analyse_instance(instance.pk)
    study, film_at = (
        f"/radiology/studies/{instance.study.public_id}/",
        f"/radiology/instances/{instance.public_id}/",
    )
    paths = [study, f"{study}analysis/", f"{film_at}image.png", f"{film_at}status/"]
    assert [radiologist.get(path).status_code for path in paths] == [200] * 4
    Study.objects.update(site=other_site)
    Instance.objects.update(site=other_site)
    assert [radiologist.get(path).status_code for path in paths] == [404] * 4


@pytest.mark.parametrize("role", ["fraud_analyst", "ml_admin", "auditor", "operator"])
def test_other_roles_stay_out(received, client, make_user, role) -> None:
    instance = received()
    study = f"/radiology/studies/{instance.study.public_id}/"
    film_at = f"/radiology/instances/{instance.public_id}/"
    client.force_login(make_user(role))
    for path in (study, f"{study}analysis/", f"{film_at}image.png", f"{film_at}status/"):
        assert client.get(path).status_code == 403
