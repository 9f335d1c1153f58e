from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.radiology.copies.exports import archive_path, labelled_studies
from apps.radiology.copies.services.exports import request_export
from apps.radiology.copies.services.make_exports import LEASE, make_export
from apps.radiology.models import Export, ExportState, FilmState, Study


class Command(BaseCommand):
    help = "Write de-identified copies of films into a tar: of one study, or of all with labels."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="Pseudonyms are the same within one project.")
        parser.add_argument("--to", type=Path, required=True, help="The tar to write; it must not be there.")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--study", help="StudyInstanceUID.")
        what.add_argument("--labels", help="Findings by comma: every study with a blind, signed read.")
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        target, labels = options["to"], _words(options["labels"])
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", options["project"]):
            raise CommandError("--project: letters, digits, - and _ alone.")
        if target.exists():
            raise CommandError(f"{target} is there already.")
        try:
            site = site_named(options["site"])
            named = Study.objects.filter(site=site, StudyInstanceUID=options["study"], withdrawn=False)
            studies = named if options["study"] else labelled_studies(site)
            how = {"project": options["project"], "labels": labels, "by": None, "due": LEASE}
            export = request_export(site, studies, **how)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        # Nobody here sees the pictures: what a person would have to look at is left out.
        make_export(export)
        held = export.films.filter(state=FilmState.HELD).update(state=FilmState.LEFT_OUT)
        if held:
            make_export(Export.objects.get(pk=export.pk))
        export.refresh_from_db()
        if export.state != ExportState.READY:
            raise CommandError("The copy could not be made.")
        shutil.copyfile(archive_path(export), target)
        left_out = export.films.filter(state=FilmState.LEFT_OUT).count()
        self.stdout.write(f"Wrote {counted(export.films.count() - left_out, 'film')}; {left_out} left out.")
        for row in export.report:
            self.stdout.write(f"{row['count']:>7}  {row['done']:<9} {row['attribute']}")


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]
