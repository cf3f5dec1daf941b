"""Names of domains, in the one form in which they are kept and compared."""

import re
from typing import Annotated

import idna
from pydantic import AfterValidator, StringConstraints

_LONGEST = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that browsers read as part of an address."""


def _normal(text: str) -> str:
    try:
        domain = idna.encode(text, uts46=True).decode().removesuffix(".")
    except (idna.IDNAError, UnicodeError):
        raise ValueError("is no name of a domain, such as shop.example.com") from None
    labels = domain.split(".")
    if len(domain) > _LONGEST or len(labels) == 1 or _NUMBER.fullmatch(labels[-1]):
        raise ValueError("is no name of a domain, such as shop.example.com")
    return domain


Domain = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_normal)]
"""A domain of two labels or more. It becomes what a request's Host has: lower case, IDNA (RFC 5891, mapped as UTS 46
says), without a dot at its end.
"""
