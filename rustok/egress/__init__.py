"""Calls to other people's servers: one request, sent to an address that was checked, and to nothing else."""

from rustok.egress.addresses import IPAddress, IPNetwork, parse_networks
from rustok.egress.allow_list import AllowedHost, Origin
from rustok.egress.circuit import CallPutOff, Circuit, CircuitConfig, CircuitOpen, RetryBudgetSpent
from rustok.egress.client import Egress, EgressConfig, OutgoingAnswer
from rustok.egress.errors import (
    AddressNotAllowed,
    EgressFailed,
    EgressRefused,
    HeaderNotAllowed,
    HostNotAllowed,
    RequestTooLarge,
    UrlNotAllowed,
)
from rustok.egress.request import METHODS, OutgoingRequest, checked
from rustok.egress.resolver import Resolver, SystemResolver

__all__ = [
    "METHODS",
    "AddressNotAllowed",
    "AllowedHost",
    "CallPutOff",
    "Circuit",
    "CircuitConfig",
    "CircuitOpen",
    "Egress",
    "EgressConfig",
    "EgressFailed",
    "EgressRefused",
    "HeaderNotAllowed",
    "HostNotAllowed",
    "IPAddress",
    "IPNetwork",
    "Origin",
    "OutgoingAnswer",
    "OutgoingRequest",
    "RequestTooLarge",
    "Resolver",
    "RetryBudgetSpent",
    "SystemResolver",
    "UrlNotAllowed",
    "checked",
    "parse_networks",
]
