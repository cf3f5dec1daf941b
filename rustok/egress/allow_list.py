"""Which hosts a call may go to: origins, and the entries of an allow-list."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from rustok.egress.addresses import IPAddress
from rustok.egress.errors import HostNotAllowed

DEFAULT_PORTS = {"https": 443, "http": 80}

AUTHORITY = r"(?P<host>\[[0-9a-f:.]+\]|[0-9a-z.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
"""Host and port, in either case; `Origin.of` checks them. A user name has no place in it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call goes. *host*: a name in lower case, an IPv4 address, or an IPv6 address in brackets."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, scheme: str, host: str, port: str | None) -> Self | None:
        """Return the origin of these parts, as AUTHORITY finds them; None if there is no such host or port."""
        lowered, number = host.lower(), int(port) if port else DEFAULT_PORTS[scheme]
        if number > _LAST_PORT or not (literal(lowered) or _is_name(lowered)):
            return None
        return cls(scheme, lowered, number)

    @property
    def authority(self) -> str:
        """The value of the header Host."""
        return self.host if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """An entry of an allow-list: one scheme, one host or all hosts below a domain, one port.

    `api.example.com` allows https on port 443, `api.example.com:8443` https on that port; `http://` before it
    allows http instead (port 80). `*.example.com` allows every host below example.com, not example.com itself.
    """

    origin: Origin
    is_wildcard: bool

    @classmethod
    def parse(cls, entry: str) -> Self:
        """Read an entry.

        Raises:
            HostNotAllowed: it has another form.

        """
        found = _ENTRY.fullmatch(entry)
        origin = found and Origin.of("http" if found["http"] else "https", found["host"], found["port"])
        if found is None or origin is None:
            raise HostNotAllowed(f"Allow-list: {entry!r:.80} is no host. {_FORMS}")
        is_wildcard = bool(found["wildcard"])
        if is_wildcard and (literal(origin.host) or "." not in origin.host):
            raise HostNotAllowed(f"Allow-list: {entry!r:.80} needs a domain of two labels or more after the star.")
        return cls(origin, is_wildcard)

    def admits(self, origin: Origin) -> bool:
        allowed = self.origin
        if (origin.scheme, origin.port) != (allowed.scheme, allowed.port):
            return False
        return origin.host.endswith(f".{allowed.host}") if self.is_wildcard else origin.host == allowed.host


def literal(host: str) -> IPAddress | None:
    """Return the address that *host* is, if it is one in the one form that every parser reads alike."""
    try:
        address = IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(host)
    except ValueError:
        return None
    return address if host in {str(address), f"[{address}]"} else None


def _is_name(host: str) -> bool:
    return len(host) <= _NAME_LIMIT and _NAME.fullmatch(host) is not None


_LAST_PORT = 65_535
_NAME_LIMIT = 253
_ENTRY = re.compile(rf"(?P<http>http://)?(?P<wildcard>\*\.)?{AUTHORITY}", re.IGNORECASE | re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A last label of digits, or of hexadecimal ones after 0x, is a number to getaddrinfo: 0x7f.1 is 127.0.0.1.
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\Z){_LABEL}")
_FORMS = "Write api.example.com, *.example.com, api.example.com:8443 or http://api.example.com."
