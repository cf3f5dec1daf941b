"""How much of something in how long, as operators write it: `600/min`."""

import re
from typing import NamedTuple

_SECONDS = {"s": 1, "min": 60, "h": 3600}
_FORM = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)")


class Quota(NamedTuple):
    """So many units in a window of so many seconds."""

    units: int
    window_s: int

    def __str__(self) -> str:
        [unit] = [name for name, seconds in _SECONDS.items() if seconds == self.window_s]
        return f"{self.units}/{unit}"


def read_quota(text: str) -> Quota:
    """Return the quota that *text* says; of up to 999,999 units.

    Raises:
        ValueError: it is none; the message, for whoever wrote it, goes after what was written.

    """
    read = _FORM.fullmatch(text)
    if read is None:
        raise ValueError("does not read NUMBER/s, NUMBER/min or NUMBER/h")
    return Quota(int(read[1]), _SECONDS[read[2]])
