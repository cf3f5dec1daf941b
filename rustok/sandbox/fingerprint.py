"""What bytecode fits: the policy that let it through and the Python that made it."""

import hashlib
import importlib.util
from pathlib import Path

_LANGUAGE = Path(__file__).with_name("language")


def _policy_version() -> str:
    """Hash the sources of the language: they change exactly when the policy or what a hook sees does."""
    digest = hashlib.sha256()
    for path in sorted(_LANGUAGE.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


POLICY_VERSION = _policy_version()
MAGIC = importlib.util.MAGIC_NUMBER.hex()
