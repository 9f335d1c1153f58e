"""Who sends a film: a person, a program or a device, and whether its corrections need asking."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from apps.accounts.auth import Caller
from apps.accounts.models import ApiClient, Site, User
from apps.audit.services import Actor
from apps.radiology.models import DicomNode

NAME_MAX = 150  # as the tables that name a sender


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a film, and by which door. Of a `trusted` one corrections are applied without asking. What
    `may_be_asked_for` may come because we asked for it (C-MOVE)."""

    site: Site
    origin: str
    actor: Actor = None
    name: str = ""
    trusted: bool = False
    may_be_asked_for: bool = False


def browser_sender(user: User) -> Sender:
    """A person who sends a file has not decided anything about a patient: corrections wait."""
    return Sender(user.site, "browser", user, (user.full_name or user.email)[:NAME_MAX])


def web_sender(caller: Caller) -> Sender:
    who: User | ApiClient | None = caller.user or caller.client
    trusted = caller.client is not None and caller.client.trusted_for_corrections
    return Sender(caller.site, "stow", who, str(who)[:NAME_MAX], trusted)


def node_sender(node: DicomNode, move_originator: str = "") -> Sender:
    """`move_originator` is who asked for it by C-MOVE, where the node says so."""
    ours = move_originator in ("", settings.LYNCEUS_DICOM_AET)
    return Sender(node.site, "c-store", None, node.AETitle, node.trusted_for_corrections, ours)
