"""For tests that are about something else: a version put in service, a person with a fresh code."""

from __future__ import annotations

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.db import transaction
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services import enrol_totp
from apps.modelops.models import ModelVersion
from apps.modelops.promotion.services import promotion

CODE_AGAIN = "/accounts/2fa/reauthenticate/"


@transaction.atomic
def put_in_service(version: ModelVersion) -> None:
    """As a promotion leaves it, without the gate and the two people before it."""
    promotion._serve(promotion._locked(version), version, None)


def code_of(user: User) -> str:
    """The present code of a second factor that is set up by this."""
    return format_hotp_value(hotp_value(enrol_totp(user), int(time.time()) // 30))


def signed_in(user: User) -> Client:
    """By password alone, as far as anybody can tell."""
    client = Client()
    client.force_login(user)
    return client


def signed_in_with_code(user: User) -> Client:
    client, code = signed_in(user), code_of(user)
    cache.clear()  # of codes that were used
    answer = client.post(CODE_AGAIN, {"code": code})
    assert answer.status_code == 302, answer.content
    return client
