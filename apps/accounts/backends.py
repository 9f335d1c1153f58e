"""Who may have a session: active people of a site that this installation serves."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend

from apps.accounts.services import site_is_open


class Backend(AuthenticationBackend):  # type: ignore[misc]
    def user_can_authenticate(self, user: Any) -> bool:
        """Asked at sign-in and again for each request of a session."""
        return super().user_can_authenticate(user) and site_is_open(user.site)
