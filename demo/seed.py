"""The demo's people, keys and senders. Run inside Django; running it again changes nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from apps.accounts.models import ApiClient, Role, Site, User
from apps.accounts.selectors import needs_second_factor
from apps.accounts.services import enrol_totp, hash_token, rotate_secret, totp_secret
from apps.fraud.wire.services.sources import ensure_source, rotate_source_secret, valid_secrets
from apps.modelops.models import RetrainingPolicy
from apps.modelops.registry import all_domains
from apps.modelops.retraining.services.retraining import set_policy
from apps.radiology.models import DicomNode

SOURCE = "demo-acquirer"
CALLING_AET = "DEMO_MODALITY"
PEOPLE = {
    "radiologist": (Role.RADIOLOGIST, "Radiologist"),
    "radiologist2": (Role.RADIOLOGIST, "Second radiologist"),
    "analyst": (Role.FRAUD_ANALYST, "Fraud analyst"),
    "analyst2": (Role.FRAUD_ANALYST, "Second fraud analyst"),
    "mladmin": (Role.ML_ADMIN, "ML administrator"),
    "mladmin2": (Role.ML_ADMIN, "Second ML administrator"),
    "auditor": (Role.AUDITOR, "Auditor"),
    "operator": (Role.OPERATOR, "Operator"),
}


@dataclass(frozen=True, slots=True)
class Account:
    label: str
    email: str
    password: str


def accounts() -> dict[str, Account]:
    """By the short names that demo.json uses."""
    return {name: Account(PEOPLE[name][1], f"{name}@demo.example", _password(name)) for name in PEOPLE}


def credentials() -> dict[str, dict[str, str]]:
    """Log-ins by short name, with an authenticator's secret (base32) where a role must have one."""
    found = {}
    for name, account in accounts().items():
        found[name] = {"email": account.email, "password": account.password}
        user = User.objects.get(email=account.email)
        if needs_second_factor(user):
            found[name]["totp_secret"] = totp_secret(user) or enrol_totp(user)
    return found


def webhook_secret() -> str:
    return "whsec_" + base64.b64encode(_derived("webhook")).decode()


def api_token() -> str:
    return "lyn_" + base64.urlsafe_b64encode(_derived("api token")).decode().rstrip("=")


@transaction.atomic
def seed() -> Site:
    """Every row the demo needs to be used: site, people, API client, transaction source, DICOM sender."""
    site, _ = Site.objects.get_or_create(slug="demo", defaults={"name": "Demo", "is_demo": True})
    for name, account in accounts().items():
        _ensure_person(site, PEOPLE[name][0], account)
    _ensure_client(site)
    source = ensure_source(site=site, slug=SOURCE, name="Demo acquirer")
    if webhook_secret() not in valid_secrets(source):
        rotate_source_secret(source, secret=webhook_secret())
    DicomNode.objects.get_or_create(AETitle=CALLING_AET, defaults={"site": site})
    _ensure_retraining(site)
    return site


def _ensure_person(site: Site, role: Role, account: Account) -> None:
    user = User.objects.filter(email=account.email).first()
    if user is None:
        operates = role == Role.OPERATOR
        User.objects.create_user(
            account.email, account.password, site=site, role=role, full_name=account.label,
            is_staff=operates, is_superuser=operates,
        )  # fmt: skip
    elif not user.check_password(account.password):
        user.set_password(account.password)
        user.save(update_fields=["password"])


def _ensure_client(site: Site) -> None:
    client, _ = ApiClient.objects.get_or_create(
        site=site,
        name="Demo programs",
        defaults={"scopes": ["radiology", "fraud"], "source_slug": SOURCE},
    )
    if not client.secrets.filter(sha256=hash_token(api_token()), expires_at=None).exists():
        rotate_secret(client, token=api_token())


def _ensure_retraining(site: Site) -> None:
    """Each first of the month at night: nobody's demo is slowed by it."""
    by = User.objects.get(email=accounts()["mladmin"].email)
    for domain in all_domains():
        if RetrainingPolicy.objects.filter(site=site, domain=domain.name).exists():
            continue
        includes = [one.name for one in domain.includes if one.initial]
        policy = RetrainingPolicy(
            site=site, domain=domain.name, enabled=True, calendar=RetrainingPolicy.Calendar.MONTHLY,
            preset="demo", includes=includes,
        )  # fmt: skip
        set_policy(policy, by=by)


def _password(name: str) -> str:
    """Easy to type, and another one on every installation."""
    return base64.b32encode(_derived(f"password {name}")[:10]).decode().lower()


def _derived(purpose: str) -> bytes:
    """32 bytes that stay the same from start to start and follow from this installation's secret key."""
    return hmac.digest(settings.SECRET_KEY.encode(), f"lynceus demo {purpose}".encode(), hashlib.sha256)
