"""Reads: the worklist. What is to be read comes by rank, the archive the latest first; both page by key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import (
    BooleanField,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, NullIf
from django.utils import timezone

from apps.accounts.models import User
from apps.core.clock import now
from apps.core.paging import as_key, beyond, time_key
from apps.radiology.models import (
    NOT_REJECTED,
    SHOWN,
    SIGNED,
    TO_READ,
    HandOver,
    Instance,
    Read,
    ReadState,
    Study,
    StudyLock,
)
from apps.radiology.studies.changes import in_question
from apps.radiology.studies.flags import signed_otherwise
from apps.radiology.studies.second_reads import waits_for_second_read
from apps.radiology.worklist.communications import has_untold

PAGE_ROWS = 50
MINE_MAX = 500
ARCHIVE_DAYS = 30  # of the archive's lists where neither a day nor a patient is asked for
RESERVED = timedelta(minutes=30)  # a study handed over by name; then it is for whoever is next
DAYS = {"today": (0, 1), "yesterday": (1, 1), "week": (6, 7), "month": (29, 30)}


@dataclass(frozen=True, slots=True)
class WorklistFilter:
    """What the radiologist narrows the worklist to; an empty string is no narrowing."""

    reading: str = ""
    status: str = ""
    finding: str = ""
    modality: str = ""
    received: str = ""
    day: str = ""
    q: str = ""

    @property
    def is_archive(self) -> bool:
        """Whether it is about what was read rather than what waits."""
        return self.reading in ("mine", "signed", "all")

    @property
    def is_cut(self) -> bool:
        """Whether only the archive's last days are shown, since nothing else says where to look."""
        return self.reading in ("signed", "all") and not (self.received or self.day or self.q)


@dataclass(frozen=True, slots=True)
class Page:
    """A page's studies, and the keys of the pages round it: empty where there is none."""

    studies: list[Study]
    previous: str
    following: str


def worklist_page(user: User, chosen: WorklistFilter, *, after: str = "", before: str = "") -> Page:
    """The page behind the key `after`, or the one that ends before the key `before`; else the first."""
    found = _chosen(user, chosen)
    column = "received_at" if chosen.is_archive else "rank_at"
    key = time_key(before or after)
    backwards = bool(before) and key is not None
    descending = chosen.is_archive != backwards
    found = beyond(found, column, key, descending=descending)
    sign = "-" if descending else ""
    ordered = found.order_by(f"{sign}{column}", f"{sign}pk").values_list("pk", flat=True)
    pks = list(ordered[: PAGE_ROWS + 1])
    more, pks = len(pks) > PAGE_ROWS, pks[:PAGE_ROWS]
    if backwards:
        pks.reverse()
    rows = _rows_of(pks, user)
    ends = [as_key(getattr(one, column), one.pk) for one in rows[:1] + rows[-1:]] or ["", ""]
    earlier, later = (more, True) if backwards else (key is not None, more)
    return Page(rows, ends[0] if earlier else "", ends[1] if later else "")


def _chosen(user: User, chosen: WorklistFilter) -> QuerySet[Study]:
    found = _read(Study.objects.filter(site=user.site_id), user, chosen)
    if chosen.status:
        found = found.filter(status=chosen.status)
    if chosen.finding:
        # A label inside a JSON list, the same on SQLite and PostgreSQL.
        found = found.filter(raised=True, raised_by__icontains=f'"{chosen.finding}"')
    if chosen.modality:
        films = Instance.objects.filter(NOT_REJECTED, study=OuterRef("pk"), Modality=chosen.modality)
        found = found.filter(Exists(films))
    if chosen.q:
        # Not by name: what is searched for stands in the address of the page. By their beginnings, which
        # an index finds.
        found = found.filter(Q(PatientID__istartswith=chosen.q) | Q(AccessionNumber__istartswith=chosen.q))
    return _received(found, chosen)


def _read(studies: QuerySet[Study], user: User, chosen: WorklistFilter) -> QuerySet[Study]:
    """Those still to be read, where nothing else is asked for."""
    shown = studies.filter(SHOWN)
    if chosen.reading == "all":
        return shown
    if chosen.reading == "mine":
        return shown.filter(pk__in=_mine(user))
    if chosen.reading == "signed":
        return shown.filter(read_state__in=SIGNED)
    waiting = _for_this_reader(studies.filter(TO_READ), user)
    if chosen.reading == "begun":
        return waiting.filter(read_state__in=(ReadState.DRAFT, ReadState.PRELIMINARY))
    return waiting


def _for_this_reader(waiting: QuerySet[Study], user: User) -> QuerySet[Study]:
    """Without what waits for a second reader alone, where that cannot be this one."""
    return waiting.filter(~Q(read_state__in=SIGNED) | Q(late_films=True) | waits_for_second_read(user))


def _mine(user: User) -> set[int]:
    """What this reader read last, and what waits for them by name."""
    read = Read.objects.filter(reader=user).order_by("-pk").values_list("study_id", flat=True)[:MINE_MAX]
    return {*read, *handed_to(user)}


def handed_to(user: User) -> list[int]:
    return list(HandOver.objects.filter(to=user, taken_at=None).values_list("study_id", flat=True))


def _received(studies: QuerySet[Study], chosen: WorklistFilter) -> QuerySet[Study]:
    """By days of the site's own time zone."""
    today = timezone.localdate()
    if chosen.day:
        return _within(studies, date.fromisoformat(chosen.day), 1)
    if chosen.received:
        back, days = DAYS[chosen.received]
        return _within(studies, today - timedelta(days=back), days)
    if chosen.is_cut:
        return _within(studies, today - timedelta(days=ARCHIVE_DAYS - 1), ARCHIVE_DAYS)
    return studies


def _within(studies: QuerySet[Study], first: date, days: int) -> QuerySet[Study]:
    begins, ends = _midnight(first), _midnight(first + timedelta(days=days))
    return studies.filter(received_at__gte=begins, received_at__lt=ends)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=timezone.get_current_timezone())


def _named(field: str) -> Coalesce:
    return Coalesce(NullIf(f"{field}__full_name", Value("")), f"{field}__email", output_field=CharField())


def _rows_of(pks: Sequence[int], user: User) -> list[Study]:
    """In this order. Asked for apart from which they are: with a million studies to choose from, the database
    would plan what a row tells for all of them."""
    found = {study.pk: study for study in _told(Study.objects.filter(pk__in=pks), user)}
    return [found[pk] for pk in pks if pk in found]


def _told(studies: QuerySet[Study], user: User) -> QuerySet[Study]:
    """With what a row tells."""
    films = Instance.objects.filter(NOT_REJECTED, study=OuterRef("pk"))
    counted = films.order_by().values("study").annotate(n=Count("pk")).values("n")
    why = films.filter(status=OuterRef("status")).exclude(reason="").order_by("pk").values("reason")
    waits = HandOver.objects.filter(study=OuterRef("pk"), taken_at=None)
    committed = Read.objects.filter(study=OuterRef("pk"), reader=user, committed_at__isnull=False)
    return studies.annotate(
        films=Coalesce(Subquery(counted), 0),
        reason=Subquery(why[:1]),
        in_question=in_question(),
        signed_otherwise=signed_otherwise(),
        untold=has_untold(),
        escalated=has_untold(escalated=True),
        second_read=ExpressionWrapper(waits_for_second_read(user), BooleanField()),
        reader=Subquery(_held().values(name=_named("by"))[:1]),
        reader_id=Subquery(_held().values("by_id")[:1]),
        handed_by=Subquery(waits.values(name=_named("by"))[:1]),
        handed_to=Subquery(waits.values(name=_named("to"))[:1]),
        committed=Exists(committed),
    )


def _held() -> QuerySet[StudyLock]:
    """The lock of each row of a queryset of studies, while it holds."""
    return StudyLock.objects.filter(study=OuterRef("pk"), expires_at__gt=now())


def _ranked(site_id: int) -> QuerySet[Study]:
    return Study.objects.filter(TO_READ, site=site_id).order_by("rank_at", "pk")


def next_on_worklist(study: Study) -> Study | None:
    """The study below this one on its site's worklist as it opens."""
    key = (study.rank_at, study.pk)
    return beyond(_ranked(study.site_id), "rank_at", key, descending=False).first()


def next_to_read(user: User) -> Study | None:
    """What was handed over to this reader, else the first of the worklist; unread, whole, and nobody else's
    at the moment."""
    free = _ranked(user.site_id).filter(~Exists(_held().exclude(by=user)), ~in_question())
    if (mine := free.filter(pk__in=handed_to(user)).first()) is not None:
        return mine
    reserved = HandOver.objects.filter(
        ~Q(to=user), study=OuterRef("pk"), taken_at=None, to__isnull=False, at__gt=now() - RESERVED
    )
    free = free.filter(~Exists(reserved))
    unread = free.filter(Q(read_state__in=("", ReadState.RETRACTED)) | waits_for_second_read(user))
    # What was handed over has a draft of somebody's, and waits like one without.
    left = free.filter(pk__in=HandOver.objects.filter(taken_at=None).values("study"))
    return min(filter(None, (unread.first(), left.first())), key=_place, default=None)


def _place(study: Study) -> tuple[datetime, int]:
    return study.rank_at, study.pk


def colleagues_of(user: User) -> Iterable[User]:
    same = User.objects.filter(site=user.site_id, role=user.role, is_active=True)
    return same.exclude(pk=user.pk).order_by("full_name", "email")
