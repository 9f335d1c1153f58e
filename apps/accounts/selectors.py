from __future__ import annotations

from apps.accounts.models import Site
from apps.core.errors import LynceusError


def site_named(slug: str = "") -> Site:
    """The site with this slug; without a slug the only one. Raises LynceusError if that is not clear."""
    sites = list(Site.objects.filter(slug=slug) if slug else Site.objects.all()[:2])
    if len(sites) == 1:
        return sites[0]
    if not sites:
        raise LynceusError("unknown_site", f"There is no site {slug!r}." if slug else "There is no site yet.")
    raise LynceusError("site_needed", "There are several sites: say which with --site.")
