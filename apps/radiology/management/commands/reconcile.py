from __future__ import annotations

import json
import re
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.radiology.exchange.peers import peers_at
from apps.radiology.exchange.scu import PeerFailed
from apps.radiology.exchange.services.reconcile import Comparison, compare, fetch_missing
from apps.radiology.models import DicomPeer

DIFFERENT = 2  # exit code
SAYS = {
    "missing_here": "missing here",
    "incomplete_here": "incomplete here",
    "missing_there": "not at the PACS",
}


class Command(BaseCommand):
    help = "Compare one day's studies with the PACS and list what is missing on either side."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", required=True, help="The study date, YYYY-MM-DD or YYYYMMDD.")
        parser.add_argument("--peer", default="", help="AE title of one peer; without it each in use.")
        parser.add_argument("--site", default="")
        parser.add_argument("--fetch", action="store_true", help="C-MOVE to here what is missing here.")
        parser.add_argument("--json", action="store_true", help="One JSON document for programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        date = options["date"].replace("-", "")
        if not re.fullmatch(r"[0-9]{8}", date):
            raise CommandError("--date must be YYYY-MM-DD.")
        try:
            peers = list(peers_at(site_named(options["site"]), options["peer"]))
            if not peers:
                raise CommandError("No such peer is in use: an operator enters it in the admin.")
            found = [self._one(peer, date, fetch=options["fetch"]) for peer in peers]
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except PeerFailed as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        if options["json"]:
            self.stdout.write(json.dumps([one.as_json() for one in found], indent=1))
        else:
            for one in found:
                self._table(one)
        if any(one.differences for one in found):
            sys.exit(DIFFERENT)

    def _one(self, peer: DicomPeer, date: str, *, fetch: bool) -> Comparison:
        found = compare(peer, date)
        if fetch and any(one.missing for one in found.differences):
            sent = fetch_missing(peer, found)
            self.stderr.write(f"{peer.AETitle} sent {counted(sent, 'instance')}.")
            found = compare(peer, date)
        return found

    def _table(self, found: Comparison) -> None:
        self.stdout.write(f"{found.peer}, {found.date}: {counted(found.same, 'study', 'studies')} the same.")
        if not found.differences:
            return
        self.stdout.write(f"{'':<16} {'here':>5} {'there':>5}  {'accession':<16}  study")
        for one in found.differences:
            row = f"{SAYS[one.what]:<16} {one.here:>5} {one.there:>5}  {one.AccessionNumber:<16}"
            self.stdout.write(f"{row}  {one.StudyInstanceUID}")
        if missing := sum(len(one.missing) for one in found.differences):
            self.stdout.write(f"Missing here: {counted(missing, 'instance')}; --fetch has them sent.")
