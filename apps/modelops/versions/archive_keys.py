"""Who signs an archive, and whose signatures are taken.

The signing key is derived from LYNCEUS_ARCHIVE_KEY. Public keys are written as 64 hexadecimal digits; trusted
are this installation's own and those of LYNCEUS_ARCHIVE_TRUSTED.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from apps.core.errors import LynceusError

KEY_BYTES, SIGNED_BYTES = 32, 32 + 64
CONTEXT = b"lynceus version archive\0"  # what else this key may sign one day is no archive


def sign(statement: bytes) -> bytes:
    """The public key and the signature. LynceusError 409 where this installation has no key."""
    key = _own()
    if key is None:
        raise LynceusError(
            "archive_key_missing", "Archives are signed: set LYNCEUS_ARCHIVE_KEY first.", status=409
        )
    return key.public_key().public_bytes_raw() + key.sign(CONTEXT + statement)


def require_signed(statement: bytes, signed: bytes) -> str:
    """The public key that signed it. LynceusError for a signature that does not fit, or an unknown key."""
    key, signature = signed[:KEY_BYTES], signed[KEY_BYTES:]
    if key.hex() not in trusted():
        raise LynceusError(
            "archive_key_unknown",
            f"The archive is signed by a key that is not trusted here: {key.hex()}.",
            status=422,
        )
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, CONTEXT + statement)
    except InvalidSignature:
        raise LynceusError(
            "archive_altered", "The archive was altered after it was signed.", status=422
        ) from None
    return key.hex()


def own_key() -> str:
    """This installation's public key; empty where it has none."""
    key = _own()
    return key.public_key().public_bytes_raw().hex() if key else ""


def trusted() -> frozenset[str]:
    return frozenset({*settings.LYNCEUS_ARCHIVE_TRUSTED, own_key()} - {""})


def _own() -> Ed25519PrivateKey | None:
    if not settings.LYNCEUS_ARCHIVE_KEY:
        return None
    derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"lynceus version archive v1")
    return Ed25519PrivateKey.from_private_bytes(derive.derive(settings.LYNCEUS_ARCHIVE_KEY.encode()))
