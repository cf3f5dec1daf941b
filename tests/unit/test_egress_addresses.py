"""Calls go to the public Internet and to what an operator opened, however an address is dressed."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustok.egress import AddressNotAllowed, EgressFailed, IPAddress, parse_networks
from rustok.egress.addresses import may_connect
from rustok.egress.client import check_peer
from rustok.kernel.errors import Misconfigured

EVERYTHING = [ip_network("0.0.0.0/0"), ip_network("::/0")]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "0.255.255.255",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd12:3456::1",
        "fd20:ce::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
        "ffff::1",
    ],
)
def test_an_address_outside_the_public_internet_is_refused(address: str) -> None:
    """IANA's special-purpose registries, transition ranges wholly, and the metadata of the clouds."""
    assert not may_connect(ip_address(address), [])


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700::1111",
    ],
)
def test_a_public_address_is_open(address: str) -> None:
    """The neighbours of each refused range among them."""
    assert may_connect(ip_address(address), [])


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_is_open_that_the_standard_library_calls_private(address: IPv4Address | IPv6Address) -> None:
    """Its table and ours are made by different people from the same registry."""
    assert address.is_global or not may_connect(address, [])


def test_an_operator_opens_a_network_and_no_more() -> None:
    """A company lets hooks call a service of its own."""
    opened = parse_networks(" 10.1.0.0/16, ::1/128 ,")

    judged = {a: may_connect(ip_address(a), opened) for a in ("10.1.2.3", "10.2.0.1", "::1", "127.0.0.1", "8.8.8.8")}

    assert judged == {"10.1.2.3": True, "10.2.0.1": False, "::1": True, "127.0.0.1": False, "8.8.8.8": True}


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:0:1::1",
        "fe80::1%eth0",
    ],
)
def test_no_network_opens_metadata_or_an_address_within_an_address(address: str) -> None:
    """An operator who opens a wide network does not mean the credentials of the machine."""
    assert not may_connect(ip_address(address), EVERYTHING)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example.com", "10.0.0.0/8;::1"])
def test_what_is_no_network_stops_the_process(text: str) -> None:
    """A network that was not understood must not be a wider or a narrower one."""
    with pytest.raises(Misconfigured, match="RUSTOK_EGRESS_ALLOWED_NETWORKS"):
        parse_networks(text)


@pytest.mark.parametrize("text", [None, "", " , "])
def test_no_network_is_opened_by_default(text: str | None) -> None:
    """The setting may be left out or empty."""
    assert parse_networks(text) == ()


def test_a_connection_that_leads_elsewhere_is_refused() -> None:
    """The socket itself is asked, whatever made the connection."""
    checked: list[IPAddress] = [ip_address("8.8.8.8"), ip_address("2606:4700::1111")]

    check_peer(("8.8.8.8", 443), checked)
    check_peer(("2606:4700::1111", 443, 0, 0), checked)
    with pytest.raises(AddressNotAllowed):
        check_peer(("127.0.0.1", 443), checked)
    with pytest.raises(AddressNotAllowed):
        check_peer(("::ffff:8.8.8.8", 443, 0, 0), checked)


def test_a_connection_that_is_gone_at_once_is_a_failure() -> None:
    """A socket that was reset knows no peer."""
    with pytest.raises(EgressFailed):
        check_peer(None, [ip_address("8.8.8.8")])
