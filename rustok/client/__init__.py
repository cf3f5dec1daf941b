"""A typed async client of the HTTP API. It knows nothing of the server's code, and needs the extra `client`.

`docs/client.md` shows how it is installed and used.
"""

from msgspec import UNSET, UnsetType

from rustok.client.batches import Batch
from rustok.client.client import RustokClient
from rustok.client.commands import ABSENT, Command
from rustok.client.consistency import ReadYourWrites
from rustok.client.credentials import TokenSource
from rustok.client.pages import Page, PageLinks, Pages
from rustok.client.problems import (
    CallFailed,
    Conflict,
    Fault,
    Forbidden,
    InvalidInput,
    NoAnswer,
    NotFound,
    Problem,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    VersionMismatch,
)
from rustok.client.retries import Retries
from rustok.client.sign_in import SignIn

__all__ = [
    "ABSENT",
    "UNSET",
    "Batch",
    "CallFailed",
    "Command",
    "Conflict",
    "Fault",
    "Forbidden",
    "InvalidInput",
    "NoAnswer",
    "NotFound",
    "Page",
    "PageLinks",
    "Pages",
    "Problem",
    "RateLimited",
    "ReadYourWrites",
    "Retries",
    "RustokClient",
    "SignIn",
    "TokenSource",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "UnsetType",
    "VersionMismatch",
]
