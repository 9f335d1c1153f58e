"""A version leaves as one signed archive and comes in as a candidate; whatever else comes is refused."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.errors import LynceusError
from apps.modelops.common import places
from apps.modelops.datasets.services.datasets import register_dataset
from apps.modelops.models import ImportedVersion, Model, ModelVersion, Promotion
from apps.modelops.promotion.services.promotion import ask_to_promote
from apps.modelops.versions import archive, archive_keys
from apps.modelops.versions.services import exchange
from ml.common.artefact import open_artefact
from tests.modelops.conftest import METRICS
from tests.modelops.test_version import address_of
from tests.promoting import put_in_service

URL = "/models/testing/import/"
FILES = {"trees.ubj": b"x" * 700, "test_scores.npz": b"scores"}


@pytest.fixture
def exported(admin, make_version) -> bytes:
    """The archive of a version that is gone from here since: as one that comes from elsewhere."""
    version = make_version(files=FILES)
    answer = admin.post(address_of(version, "export"))
    assert answer["Content-Disposition"] == 'attachment; filename="testing-v1.lynceus.tar"'
    data = b"".join(answer.streaming_content)
    forget(version)
    return data


@pytest.fixture
def mine(site, dataset) -> object:
    """The dataset that judges here. The one the version learnt from is not here."""
    folder = places.dataset_folder(site, "testing", "ours")
    folder.mkdir()
    (folder / "manifest.json").write_text('{"ours": 1}')
    dataset.manifest_sha256 = "0" * 64
    dataset.save()
    return register_dataset(site=site, domain="testing", name="ours", folder=folder, summary={"n": 5})


def forget(version: ModelVersion) -> None:
    version.delete()
    folder = places.artefact_folder(version.artefact_hash)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def send(client, data: bytes, judged_by):
    given = {"archive": SimpleUploadedFile("a.tar", data), "judged_by": judged_by.pk}
    return client.post(URL, given, follow=True)


def made(told=None, files=None, sign=archive_keys.sign, signature=None) -> bytes:
    """An archive as no exporter makes it."""
    files = {MANIFEST: b"{}", "card.md": b"# card"} if files is None else files
    listed = {name: archive._listed(content) for name, content in files.items()}
    facts = {
        "number": 3, "variant": "", "made_at": "2026-01-01T00:00:00+00:00", "metrics": {},
        "dataset": {"name": "d", "manifest_sha256": "", "summary": {}},
        "training": {"preset": "tiny", "params": {}, "seed": 0},
    }  # fmt: skip
    said = {"format": 1, "domain": "testing", "artefact_hash": "a" * 64, "facts": facts, "files": listed}
    statement = json.dumps({**said, **(told or {})}).encode()
    signed = sign(statement) if signature is None else signature
    entries = {"statement.json": statement, "signature": signed, **files}
    return b"".join(b"".join(archive._member(n, len(c), [c])) for n, c in entries.items()) + archive.END


def statement_of(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        return found.extractfile("statement.json").read()


def foreign(statement: bytes) -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.public_key().public_bytes_raw() + key.sign(archive_keys.CONTEXT + statement)


def unsigned() -> bytes:
    good = made()
    return good[: good.index(b"signature\0")] + archive.END


def linked(name: str, kind: bytes, target: str) -> bytes:
    """A good beginning, then an entry that tar would follow."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    good = made()
    at = good.index(b"artefact/manifest.json\0")
    return good[:at] + entry.tobuf(tarfile.USTAR_FORMAT) + good[at + 512 :]


def test_it_works(admin, exported, mine) -> None:
    answer = send(admin, exported, mine)
    version = ModelVersion.objects.get()
    assert answer.redirect_chain == [(address_of(version), 302)]
    page = " ".join(answer.content.decode().split())
    for text in ("as a candidate", "Signed by", archive_keys.own_key(), "Dataset there", "nobody can tell"):
        assert text in page, text
    assert (version.metrics, version.dataset, version.job) == (METRICS, mine, None)
    opened = open_artefact(places.artefact_folder(version.artefact_hash), version.artefact_hash)
    assert opened.path("trees.ubj").read_bytes() == FILES["trees.ubj"]
    origin = ImportedVersion.objects.get()
    assert (origin.number, origin.dataset_name, origin.learnt_here) == (1, "small", False)
    assert not Promotion.objects.exists()
    assert Model.objects.get().champion is None
    told = AuditEvent.objects.filter(action__in=["version.exported", "version.imported"]).order_by("pk")
    assert [one.action for one in told] == ["version.exported", "version.imported"]
    assert told[1].detail["key"] == archive_keys.own_key()
    assert list(places.unpacked().iterdir()) == []


def test_a_candidate_like_any_other(admin, exported, mine, make_version, site) -> None:
    """The gate holds it against the champion on the dataset here, and nothing is asked for without it."""
    champion = make_version()
    put_in_service(champion)
    send(admin, exported, mine)
    version = ModelVersion.objects.get(job=None)
    with pytest.raises(LynceusError, match="Check it at the gate first"):
        ask_to_promote(version, by=User.objects.get(), site=site)
    assert admin.post(address_of(version, "check_at_gate")).status_code == 302
    assert version.gate_runs.get().dataset == mine
    page = admin.get(address_of(version)).content.decode()
    assert "Compare with version" not in page
    assert "which taught neither" not in page
    assert "tested on other data" in page
    answer = admin.get("/models/compare/", {"versions": f"{champion.pk},{version.pk}"})
    assert answer.status_code == 422
    assert "tested elsewhere" in answer.content.decode()


def test_where_the_site_has_its_data_that_judges(admin, make_version, dataset, mine) -> None:
    dataset.manifest_sha256 = "1" * 64
    dataset.save()
    version = make_version()
    data = b"".join(admin.post(address_of(version, "export")).streaming_content)
    forget(version)
    send(admin, data, mine)
    back = ModelVersion.objects.get(job=None)
    assert (back.dataset, back.tested_on) == (dataset, dataset.pk)
    again = b"".join(admin.post(address_of(back, "export")).streaming_content)
    first, second = (json.loads(statement_of(one))["facts"] for one in (data, again))
    assert first == second


def test_any_tar_reads_it(exported) -> None:
    with tarfile.open(fileobj=io.BytesIO(exported)) as found:
        assert found.getnames() == [
            "statement.json", "signature", "artefact/manifest.json", "artefact/test_scores.npz",
            "artefact/trees.ubj", "card.md",
        ]  # fmt: skip
        card = found.extractfile("card.md").read().decode()
    assert card.startswith("# Testing, version 1")


MANIFEST = "artefact/manifest.json"
SAYS = "what its statement says"
REFUSED = {
    "no archive": (lambda: b"", "not an archive"),
    "another tar": (lambda: linked(MANIFEST, tarfile.REGTYPE, "")[512:], "not an archive"),
    "unsigned": (lambda: unsigned(), "not signed"),
    "an empty signature": (lambda: made(signature=b""), "not signed"),
    "an unknown key": (lambda: made(sign=foreign), "a key that is not trusted here"),
    "a signature of something else": (lambda: made(signature=archive_keys.sign(b"x")), "altered after it"),
    "an unknown format": (lambda: made({"format": 2}), "of format 2; this release reads 1"),
    "too many files": (lambda: made(files={f"{n}": b"" for n in range(40)}), "more than 13 files"),
    "another path": (lambda: made(files={"../../x": b"", "card.md": b"", MANIFEST: b""}), "other files"),
    "an entry of another path": (lambda: linked("artefact/../../x", tarfile.REGTYPE, ""), SAYS),
    "a symlink": (lambda: linked(MANIFEST, tarfile.SYMTYPE, "/etc/passwd"), SAYS),
    "a hard link": (lambda: linked(MANIFEST, tarfile.LNKTYPE, "card.md"), SAYS),
    "an extended header": (lambda: linked(MANIFEST, tarfile.XHDTYPE, ""), SAYS),
    "too large": (lambda: made({"files": dict.fromkeys(archive.NEEDED, HUGE)}), "holds more than"),
    "an unknown domain": (lambda: made({"domain": "weather"}), "There is no domain"),
    "more at its end": (lambda: made() + b"\0", "more than its statement says"),
    "cut off": (lambda: made()[:-600], SAYS),
    "no statement": (lambda: made({"files": 3}), "cannot be read"),
    "not a number": (lambda: made({"facts": {"number": float("nan")}}), "cannot be read"),
    "another manifest": (lambda: made(), "not the one this version"),
}
HUGE = {"sha256": "a" * 64, "size": 2**40}


@pytest.mark.parametrize("how", REFUSED)
def test_what_is_refused(admin, dataset, how) -> None:
    make, says = REFUSED[how]
    answer = send(admin, make(), dataset)
    assert answer.status_code == 422
    assert says in " ".join(answer.context["form"].errors["archive"])
    assert not ModelVersion.objects.exists()
    assert list(places.unpacked().iterdir()) == []


def test_each_single_byte_counts(exported, tmp_path) -> None:
    """One bit anywhere, in headers and gaps as well: the archive is refused."""
    for at in range(0, len(exported), 37):
        altered = bytearray(exported)
        altered[at] ^= 1
        folder = tmp_path / f"at-{at}"
        folder.mkdir()
        with pytest.raises(LynceusError):
            archive.unpack(io.BytesIO(bytes(altered)), folder, max_bytes=10**6)


class Anything(str):
    """Equal to every hash."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def test_without_the_check_of_hashes_another_model_would_come_in(exported, tmp_path, monkeypatch) -> None:
    at = exported.index(b"x" * 700)
    altered = exported[:at] + b"y" + exported[at + 1 :]
    honest = archive.Listed
    monkeypatch.setattr(archive, "Listed", lambda sha256, size: honest(Anything(sha256), size))
    archive.unpack(io.BytesIO(altered), tmp_path, max_bytes=10**6)
    assert (tmp_path / "artefact/trees.ubj").read_bytes().startswith(b"yx")


def test_without_the_list_of_keys_anybody_would_be_believed(admin, exported, mine, monkeypatch) -> None:
    stranger = Ed25519PrivateKey.generate()
    key = stranger.public_key().public_bytes_raw()
    statement = statement_of(exported)
    signed = key + stranger.sign(archive_keys.CONTEXT + statement)
    forged = exported.replace(archive_keys.sign(statement), signed)
    assert "not trusted" in send(admin, forged, mine).content.decode()
    monkeypatch.setattr(archive_keys, "trusted", lambda: frozenset({key.hex()}))
    assert send(admin, forged, mine).status_code == 200
    assert ImportedVersion.objects.get().key == key.hex()


def test_a_key_is_trusted_by_setting(exported, settings, admin, mine) -> None:
    theirs = archive_keys.own_key()
    settings.LYNCEUS_ARCHIVE_KEY = "another installation's"
    assert "not trusted" in send(admin, exported, mine).content.decode()
    settings.LYNCEUS_ARCHIVE_TRUSTED = [theirs]
    assert theirs in admin.get(URL).content.decode()
    assert send(admin, exported, mine).status_code == 200


def test_what_is_here_already_is_said(admin, exported, mine) -> None:
    send(admin, exported, mine)
    answer = send(admin, exported, mine)
    assert answer.status_code == 422
    assert "It is here already, as version 1." in answer.content.decode()
    assert ModelVersion.objects.count() == 1


def test_an_artefact_that_is_not_whole_and_a_missing_key_export_nothing(
    admin, make_version, settings
) -> None:
    version = make_version(files=FILES)
    settings.LYNCEUS_ARCHIVE_KEY = ""
    assert "set LYNCEUS_ARCHIVE_KEY first" in admin.post(address_of(version, "export")).content.decode()
    settings.LYNCEUS_ARCHIVE_KEY = "x"
    (places.artefact_folder(version.artefact_hash) / "trees.ubj").write_bytes(b"y")
    assert admin.post(address_of(version, "export")).status_code == 409
    assert not AuditEvent.objects.filter(action="version.exported").exists()


def test_a_full_disk_is_said(admin, exported, mine, monkeypatch) -> None:
    def full(*_, **__) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exchange, "unpack", full)
    assert "No space left on device" in send(admin, exported, mine).content.decode()


def test_another_sites_version_is_not_exported(stranger, make_version) -> None:
    assert stranger.post(reverse("modelops:export", args=[make_version().pk])).status_code == 404
