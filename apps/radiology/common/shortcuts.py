"""What a page's address names, at the site of who asks; 404 for what is not shown there."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest

from apps.accounts.auth import user_of
from apps.radiology.common.selectors import instance_for, study_for
from apps.radiology.models import Instance, Study


def study_or_404(request: HttpRequest, public_id: UUID) -> Study:
    found = study_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found


def instance_or_404(request: HttpRequest, public_id: UUID) -> Instance:
    found = instance_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found
