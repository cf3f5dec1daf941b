"""Texts that are sent as headers."""


def header_text(name: str, text: str) -> str:
    """Return *text*, without spaces around it.

    Raises:
        ValueError: it cannot be sent: it is empty, or not printable ASCII. The message has the *name*, never the text.

    """
    if not text.isascii() or not text.isprintable() or not text.strip():
        raise ValueError(f"{name} must be printable ASCII, and not empty")
    return text.strip()
