"""A protocol that waits for nobody, for tests that have no time."""

from typing import ClassVar

from api.protocol import BoundedProtocol


class Impatient(BoundedProtocol):
    patience_s: ClassVar[float] = 0.2
