"""Keep what a reader draws on the films."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from apps.radiology.models import Instance, Read, Region
from apps.radiology.reading.regions import Drawn, drawn_by, held_to_films


def keep_regions(read: Read, drawn: Sequence[Drawn], labels: Sequence[str], at: datetime) -> None:
    """Add a row for each outline that is new and for each that is gone. LynceusError 422 bad_region.

    The caller holds the read locked. What stood already is not looked at again: its film may be out of use.
    """
    standing = drawn_by(read)
    films = held_to_films(read, [one for one in drawn if one not in standing], labels)
    rows = [_row(read, one, film) for one, film in films.items()]
    gone = [one for one in standing if one not in drawn]
    known = Instance.objects.filter(public_id__in=[one.instance for one in gone])
    of_gone = {str(film.public_id): film for film in known}
    rows += [_row(read, one, of_gone[one.instance], taken_away=True) for one in gone]
    for row in rows:
        row.after_reveal, row.at = read.committed_at is not None, at
    Region.objects.bulk_create(rows)


def _row(read: Read, one: Drawn, film: Instance, *, taken_away: bool = False) -> Region:
    return Region(
        read=read, instance=film, frame=one.frame, label=one.label, shape=one.shape,
        points=[list(point) for point in one.points], taken_away=taken_away,
    )  # fmt: skip
