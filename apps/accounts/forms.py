"""The code of a second factor, asked at sign-in and again before something sensitive."""

from __future__ import annotations

from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django.core.cache import cache


class _OnceOnly:
    """allauth forgets a used code after one step, but with a tolerance it stays valid for three."""

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        key = f"totp-used:{self.user.pk}:{code}"  # type: ignore[attr-defined]
        seconds = app_settings.TOTP_PERIOD * (2 * app_settings.TOTP_TOLERANCE + 1)
        if not cache.add(key, 1, timeout=seconds):
            raise get_adapter().validation_error("incorrect_code")
        return code


class CodeForm(_OnceOnly, AuthenticateForm):  # type: ignore[misc]
    pass


class CodeAgainForm(_OnceOnly, ReauthenticateForm):  # type: ignore[misc]
    pass
