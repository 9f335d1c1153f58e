"""Sources and their webhook secrets."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.accounts.models import Site
from apps.audit.services import record
from apps.core.clock import now
from apps.core.encryption import decrypt, encrypt
from apps.core.errors import LynceusError
from apps.core.signatures import decode_secret, new_secret
from apps.fraud.common.cardguard import Allowed
from apps.fraud.models import Source, SourceSecret


@transaction.atomic
def ensure_source(*, site: Site, slug: str, name: str) -> Source:
    """The source of that slug, made on first use. LynceusError if it is another site's."""
    source, made = Source.objects.get_or_create(slug=slug, defaults={"site": site, "name": name})
    if source.site_id != site.pk:
        raise LynceusError("source_elsewhere", f"The source {slug!r} belongs to another site.")
    if made:
        record("source.added", site=site, actor=None, subject=f"source:{source.pk}")
    return source


@transaction.atomic
def rotate_source_secret(
    source: Source, *, overlap: timedelta = timedelta(hours=24), secret: str | None = None
) -> str:
    """A new webhook secret, shown once. The newest earlier one stays valid for `overlap`, older ones end."""
    Source.objects.select_for_update().get(pk=source.pk)
    value = secret or new_secret()
    decode_secret(value)
    valid = list(_valid(source).order_by("-id"))
    for position, earlier in enumerate(valid):
        end = now() + overlap if position == 0 else now()
        if earlier.expires_at is None or earlier.expires_at > end:
            earlier.expires_at = end
            earlier.save(update_fields=["expires_at"])
    SourceSecret.objects.create(source=source, ciphertext=encrypt(value, bound_to=source.slug))
    record("source.secret_rotated", site=source.site, actor=None, subject=f"source:{source.pk}")
    return value


def allowed_of(source: Source) -> Allowed:
    return Allowed(source.luhn_valid_tokens, source.numeric_references)


def valid_secrets(source: Source) -> list[str]:
    return [decrypt(bytes(row.ciphertext), bound_to=source.slug) for row in _valid(source)]


def _valid(source: Source) -> QuerySet[SourceSecret]:
    return source.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=now()))
