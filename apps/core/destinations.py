"""Where a webhook may be sent: an address the open internet reaches, or one a setting allows.

The name is resolved once and the connection made to the address that was checked, so that a name
cannot point elsewhere between the look and the call.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import httpx
from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """Nothing may be sent there; the argument is a stable code."""


@dataclass(frozen=True, slots=True)
class Destination:
    """`url` names the checked address in place of the host; `host` and `netloc` are as they were given.

    A name in letters beyond ASCII is there as DNS knows it (`xn--...`).
    """

    url: str
    host: str
    netloc: str


def destination_of(url: str) -> Destination:
    """The checked destination. Refused: bad_url, not_https, name_unknown, private_address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Refused("bad_url") from None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise Refused("bad_url")
    host, netloc = _ascii(host, parts.netloc, port)
    found = _addresses(host, port or (443 if parts.scheme == "https" else 80))
    allowed = [_is_allowed(address) for address in found]
    # One private address among public ones is refused too: which is called would be chance.
    if not all(allowed[i] or is_public(address) for i, address in enumerate(found)):
        raise Refused("private_address")
    if parts.scheme == "http" and not all(allowed):
        raise Refused("not_https")
    address = f"[{found[0]}]" if found[0].version == 6 else str(found[0])
    called = f"{address}:{port}" if port else address
    return Destination(urlunsplit((parts.scheme, called, parts.path or "/", parts.query, "")), host, netloc)


def is_public(address: Address) -> bool:
    """Whether it is an ordinary host of the internet: nothing private, local, shared, or wrapped in IPv6."""
    if isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
    ):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _ascii(host: str, netloc: str, port: int | None) -> tuple[str, str]:
    if netloc.isascii():
        return host, netloc
    try:
        host = httpx.URL(scheme="https", host=host).raw_host.decode("ascii")
    except httpx.InvalidURL:
        raise Refused("bad_url") from None
    return host, f"{host}:{port}" if port else host


def _addresses(host: str, port: int) -> list[Address]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused("name_unknown") from None
    # A zone id (fe80::1%eth0) is of this host only; what is before it decides.
    found = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    if not found:
        raise Refused("name_unknown")
    return list(dict.fromkeys(found))


def _is_allowed(address: Address) -> bool:
    return any(address in network for network in settings.LYNCEUS_WEBHOOK_ALLOW)
