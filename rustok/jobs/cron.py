"""The moments that a cron expression means, in a time zone with its changes of the clock."""

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from rustok.kernel.errors import InvalidInput

_FIELDS = 5


def next_due(cron: str, timezone: str, after: datetime) -> datetime:
    """Return the first moment after *after* that the expression means.

    Raises:
        InvalidInput: it is no cron expression, or means no moment at all; there is no such time zone.

    """
    if timezone not in _zone_names():
        raise InvalidInput(f"There is no time zone {timezone!r}: write an IANA name, such as Europe/Berlin.")
    try:
        return next(_moments(cron, after.astimezone(_zone(timezone)))).astimezone(UTC)
    except (CronSimError, StopIteration, ValueError) as error:
        raise InvalidInput(f"{cron!r} is no cron expression: write five fields, such as `0 7 * * 1-5`.") from error


def moments_between(cron: str, timezone: str, after: datetime, until: datetime, most: int) -> list[datetime]:
    """Return the last moments after *after* and up to *until*, *most* of them at most, the earliest first."""
    just_past = (until + timedelta(microseconds=1)).astimezone(_zone(timezone))
    latest_first = (moment.astimezone(UTC) for moment in _moments(cron, just_past, reverse=True))
    return list(islice(takewhile(lambda moment: moment > after, latest_first), most))[::-1]


def _moments(cron: str, start: datetime, *, reverse: bool = False) -> CronSim:
    if len(cron.split()) != _FIELDS:  # CronSim takes a sixth one, of seconds
        raise CronSimError("Wrong number of fields")
    return CronSim(cron, start, reverse)


@cache
def _zone_names() -> frozenset[str]:
    """Return the IANA names of the pinned package: the machine's own files hold others, such as `localtime`."""
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


@cache
def _zone(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
