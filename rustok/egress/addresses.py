"""Which addresses a call may connect to: the public Internet, and the networks that an operator opened.

`ipaddress.is_global` is not enough: it passes NAT64 and 6to4 forms of private addresses, and Azure's wire server.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

from rustok.kernel.errors import Misconfigured

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network


def may_connect(address: IPAddress, allowed_networks: Iterable[IPNetwork]) -> bool:
    """Tell whether a call may go to *address*. No allowed network opens cloud metadata or a transition range."""
    if getattr(address, "scope_id", None) is not None or _is_in(address, _NEVER):
        return False
    return _is_in(address, allowed_networks) or (_is_in(address, _UNICAST) and not _is_in(address, _SPECIAL))


def parse_networks(text: str | None, setting: str = "RUSTOK_EGRESS_ALLOWED_NETWORKS") -> tuple[IPNetwork, ...]:
    """Return the networks that a *setting* has, a list of CIDRs with commas.

    Raises:
        Misconfigured: a part is no network, or has bits set below its prefix.

    """
    try:
        return tuple(ip_network(part.strip()) for part in (text or "").split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(f"{setting}: {error}. Write CIDRs with commas, like 10.1.0.0/16,fd12::/64.") from None


def _is_in(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(address in network for network in networks)


def _networks(text: str) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(line.partition("#")[0].strip()) for line in text.strip().splitlines())


_UNICAST = _networks("""
    0.0.0.0/0
    2000::/3  # the only part of IPv6 that is given out as global unicast (IANA)
""")

_SPECIAL = _networks("""
    0.0.0.0/8           # this network; 0.0.0.0 is the machine itself
    10.0.0.0/8          # private (RFC 1918)
    100.64.0.0/10       # carrier-grade NAT
    127.0.0.0/8         # loopback
    169.254.0.0/16      # link-local
    172.16.0.0/12       # private
    192.0.0.0/24        # protocol assignments
    192.0.2.0/24        # documentation
    192.31.196.0/24     # AS112
    192.52.193.0/24     # AMT
    192.88.99.0/24      # 6to4 relays
    192.168.0.0/16      # private
    192.175.48.0/24     # AS112
    198.18.0.0/15       # benchmarks
    198.51.100.0/24     # documentation
    203.0.113.0/24      # documentation
    224.0.0.0/4         # multicast
    240.0.0.0/4         # reserved, and broadcast
    2001::/23           # protocol assignments: ORCHID, benchmarks
    2001:db8::/32       # documentation
    2620:4f:8000::/48   # AS112
    3fff::/20           # documentation
""")
"""IANA's special-purpose registries (RFC 6890), as far as they lie in unicast space."""

_NEVER = _networks("""
    169.254.0.0/16      # metadata of AWS, Azure, Google, Oracle and others; ECS credentials
    100.100.100.200/32  # metadata of Alibaba
    168.63.129.16/32    # Azure's wire server, in public space
    192.0.0.192/32      # metadata of Oracle's classic cloud
    fd00:ec2::/32       # metadata of AWS
    fd20:ce::/32        # metadata of Google
    fe80::/10           # link-local
    fec0::/10           # site-local
    ::ffff:0:0/96       # IPv4-mapped
    ::ffff:0:0:0/96     # IPv4-translated
    64:ff9b::/96        # NAT64
    64:ff9b:1::/48      # NAT64 of a site
    2001::/32           # Teredo
    2002::/16           # 6to4
""")
"""What lends its credentials to whoever asks, and what carries an IPv4 address that nobody would check."""
