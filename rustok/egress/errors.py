"""How an outgoing call ends without an answer: refused by a rule, or failed on its way.

No message tells an address: what an internal name resolves to is nobody's business.
"""

from rustok.kernel.errors import RustokError


class EgressRefused(RustokError):
    """The call breaks a rule: the same call will be refused again. Nothing was sent."""


class UrlNotAllowed(EgressRefused):
    """The method or the URL has a form that no call may have."""

    code = "url_not_allowed"


class HostNotAllowed(EgressRefused):
    """The allow-list does not hold this scheme, host and port, or one of its entries is malformed."""

    code = "host_not_allowed"


class AddressNotAllowed(EgressRefused):
    """The host is at an address outside the public Internet that no operator has opened."""

    code = "address_not_allowed"


class HeaderNotAllowed(EgressRefused):
    """A header is not the caller's to set, or has a form that could end it early."""

    code = "header_not_allowed"


class RequestTooLarge(EgressRefused):
    """URL, headers or body exceed their limit."""

    code = "request_too_large"


class EgressFailed(RustokError):
    """There is no usable answer; whether the server has acted is unknown."""

    code = "call_failed"
    retryable = True
