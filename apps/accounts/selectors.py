from __future__ import annotations

from django.conf import settings

from apps.accounts.models import Site, User
from apps.core.errors import LynceusError


def site_named(slug: str = "") -> Site:
    """The site with this slug; without a slug the only one. Raises LynceusError if that is not clear."""
    sites = list(Site.objects.filter(slug=slug) if slug else Site.objects.all()[:2])
    if len(sites) == 1:
        return sites[0]
    if not sites:
        raise LynceusError("unknown_site", f"There is no site {slug!r}." if slug else "There is no site yet.")
    raise LynceusError("site_needed", "There are several sites: say which with --site.")


def needs_second_factor(user: User) -> bool:
    """By role; a superuser, who may do what every role may, wherever any role must."""
    roles = settings.LYNCEUS_MFA_ROLES
    return user.role in roles or (user.is_superuser and bool(roles))
