"""The test kit for module authors: a throw-away database, a tenant factory, event builders, a fake transport.

`docs/testing.md` shows it in use.
"""

from rustok.testing.clock import FixedClock
from rustok.testing.database import Database, DatabaseServer
from rustok.testing.events import an_envelope
from rustok.testing.platform import PlatformUnderTest, a_context
from rustok.testing.transport import RecordingTransport

__all__ = [
    "Database",
    "DatabaseServer",
    "FixedClock",
    "PlatformUnderTest",
    "RecordingTransport",
    "a_context",
    "an_envelope",
]
