"""Secrets that must be read back, at rest: AES-256-GCM under a key derived from SECRET_KEY.

A bearer token is kept as a hash. A webhook secret or an authenticator's is needed itself to check what it
signed. Whoever changes SECRET_KEY issues these secrets anew.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from apps.core.errors import LynceusError

_NONCE_BYTES = 12


def _cipher() -> AESGCM:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"lynceus secrets at rest v1")
    return AESGCM(derive.derive(settings.SECRET_KEY.encode()))


def encrypt(text: str, *, bound_to: str) -> bytes:
    """`bound_to` names the owner: the ciphertext opens for no other."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, text.encode(), bound_to.encode())


def decrypt(ciphertext: bytes, *, bound_to: str) -> str:
    try:
        plain = _cipher().decrypt(
            bytes(ciphertext[:_NONCE_BYTES]), bytes(ciphertext[_NONCE_BYTES:]), bound_to.encode()
        )
    except InvalidTag:
        raise LynceusError(
            "secret_unreadable", "A stored secret cannot be read: SECRET_KEY has changed.", status=503
        ) from None
    return plain.decode()
