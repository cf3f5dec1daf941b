"""The language of hooks: Python without the ways out of it, checked before anything runs.

It tells authors, with a line, what they may not say. It is not the boundary: the kernel is.
"""

from rustok.sandbox.language.check import LONGEST_SOURCE_BYTES, check_source
from rustok.sandbox.language.diagnostic import Diagnostic
from rustok.sandbox.language.imports import IMPORTABLE

__all__ = ["IMPORTABLE", "LONGEST_SOURCE_BYTES", "Diagnostic", "check_source"]
