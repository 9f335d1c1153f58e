"""A complete study's structured report and captures, and what they say."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import highdicom.sr
import pydicom

from apps.audit.models import AuditEvent
from apps.radiology.common.store import film_path
from apps.radiology.models import Instance, Result, ResultKind, Study
from apps.radiology.tasks import make_results
from ml.radiology.vocabulary import forbidden_in
from tests.clients import program
from tests.radiology.conftest import film
from tests.radiology.results.conftest import path_of, settle, texts


def test_it_works(read, ask) -> None:
    data = film(PatientName="Döe^Jane", StudyDate="20240131", StudyTime="1010", TimezoneOffsetFromUTC="+0100")
    instance = read(data, Effusion=(0.81, 0.4), Pneumonia=(0.2, 0.5), Nodule=(0.9, None))
    make_results.run()
    assert not Result.objects.exists()  # more films may still come
    settle()
    sent, made, capture = ask(data.StudyInstanceUID)
    assert sent.SOPInstanceUID == data.SOPInstanceUID
    assert (made.Modality, made.CompletionFlag, made.PreliminaryFlag, made.VerificationFlag) == (
        "SR", "PARTIAL", "PRELIMINARY", "UNVERIFIED",
    )  # fmt: skip
    assert (made.StudyInstanceUID, made.PatientID, str(made.PatientName), made.StudyTime) == (
        data.StudyInstanceUID, "4711", "Döe^Jane", "1010",
    )  # fmt: skip
    assert "preliminary" in made.SeriesDescription and made.Manufacturer == "Lynceus"
    assert len({sent.SeriesInstanceUID, made.SeriesInstanceUID, capture.SeriesInstanceUID}) == 3
    said = texts(made)
    for words in (
        "Lynceus film model",
        "3",
        f"artefact SHA-256 {'0' * 64}",
        "Insufficient evidence for an operating point",
    ):
        assert words in said
    summary, comment = said[-2:]
    assert summary.startswith("Raised by AI: pleural effusion. Looked for: opacity, pneumonia possible;")
    assert comment.startswith("Films analysed: 1 of 1.") and "not a medical device" in comment
    kept = Result.objects.get(kind=ResultKind.REPORT)
    assert list(kept.analyses.all()) == list(instance.analyses.all())
    assert AuditEvent.objects.get(action="result.made").detail == {"objects": ["sr", "sc"]}


def test_readers_of_others_understand_the_report(read) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4), Nodule=(0.1, 0.3))
    read(film(seed=1, StudyInstanceUID=data.StudyInstanceUID, ViewPosition="AP"), Effusion=(0.2, 0.4))
    settle()
    path = path_of(Result.objects.get(kind=ResultKind.REPORT))
    dumped = subprocess.run([program("dsrdump"), str(path)], capture_output=True, text=True, check=True)
    assert "Comprehensive SR Document" in dumped.stdout
    assert "error" not in (dumped.stdout + dumped.stderr).lower()
    document = highdicom.sr.srread(path)
    groups = document.content.get_image_measurement_groups()
    first = [one for one in groups if source(one) == data.SOPInstanceUID]
    assert [group.finding_type.meaning for group in first] == ["Pleural effusion", "Nodule"]
    assert {source(group) for group in groups} == set(
        Instance.objects.values_list("SOPInstanceUID", flat=True)
    )
    numbers = [(one.name.meaning, one.value) for one in first[0].get_measurements()]
    assert numbers == [("Probability", 0.81), ("Operating point", 0.4)]
    [call] = first[1].get_qualitative_evaluations()
    assert call.value.meaning == "Below its operating point"
    assert len(document.get_evidence()) == 2


def source(group: Any) -> str:
    return str(group.source_images[0].referenced_sop_instance_uid)


def test_the_capture_shows_the_attention_and_says_what_it_is(read) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4), Nodule=(0.1, 0.3))
    settle()
    [made] = [pydicom.dcmread(path_of(one)) for one in Result.objects.filter(kind=ResultKind.CAPTURE)]
    assert (made.PhotometricInterpretation, made.BurnedInAnnotation) == ("RGB", "YES")
    assert list(made.ImageType[:2]) == ["DERIVED", "SECONDARY"] and not made.PatientOrientation
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == data.SOPInstanceUID
    assert made.ImageComments.startswith("Model attention, pleural effusion, research use.")
    pixels = made.pixel_array.astype(int)
    film_part, words = pixels[:1024], pixels[1024:]
    colour = film_part[..., 0] - film_part[..., 2]
    assert colour[:, -100:].mean() > 60 > colour[:, :60].mean()  # LOOKED grows to the right
    assert words.max() == 255 and words.min() == 0


def test_nothing_that_no_result_may_say_is_said(read, ask, radiologist, client, token) -> None:
    data = film()
    read(data, Effusion=(0.81, 0.4), Pneumonia=(0.7, 0.5), Normal=(0.9, 0.5), Tuberculosis=(0.9, None))
    settle()
    _, made, capture = ask(data.StudyInstanceUID)
    asked = {"authorization": f"Bearer {token}"}
    api = client.get(f"/api/v1/studies/{data.StudyInstanceUID}", headers=asked).json()
    page = radiologist.get(f"/radiology/studies/{Study.objects.get().public_id}/").content.decode()
    row = radiologist.get("/radiology/").content.decode().split('class="why"')[1].split("</td>")[0]
    said = [
        *texts(made), made.SeriesDescription, capture.ImageComments, capture.DerivationDescription,
        capture.SeriesDescription, api["statement"], *(one["statement"] for one in api["instances"]),
        *(f"{one['says']}. {one['code']['meaning']}" for one in api["findings"]),
        visible(page.split('class="panel ai"')[1].split("</section>")[0]), visible(row),
    ]  # fmt: skip
    assert "label not reported" in " ".join(said)
    assert [found for text in said for found in forbidden_in(text)] == []
    assert forbidden_in(" ".join([*said, "No effusion."])) == ["absence: No effusion"]


def visible(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup))


def test_originals_stay_as_they_are(read, stored) -> None:
    instance = read(Effusion=(0.81, 0.4))
    path = film_path(instance.site, instance.file_sha256)
    content, row = path.read_bytes(), Instance.objects.filter(pk=instance.pk).values().get()
    before = set(stored())
    settle()
    assert path.read_bytes() == content
    assert Instance.objects.filter(pk=instance.pk).values().get() == row
    assert set(stored()) - before == {path_of(one).name for one in Result.objects.all()}
    assert Instance.objects.count() == 1
