"""What a keeper tells of Redis: that it refuses, and that it serves again."""

from typing import cast

import redis

from workers.stream_keeper import Keeper, KeeperConfig, Outage
from workers.stream_lane import Alarm, Lane


class QuietLane:
    """Holds nothing; Redis refuses its first dismissal."""

    stream = "quiet"

    def __init__(self) -> None:
        self.refusals = 1

    def flush(self) -> int:
        return 0

    def beat(self) -> int:
        return 0

    def dismiss(self, _idle_ms: int) -> None:
        if self.refusals:
            self.refusals -= 1
            raise redis.ResponseError("MISCONF")


def test_a_refusal_is_over_when_the_same_is_granted() -> None:
    """Else a lane without messages would keep its worker off Redis until one comes."""
    outage, lane = Outage(), cast("Lane", QuietLane())
    always = KeeperConfig(ack_age_s=0, beat_every_s=0, dismiss_every_s=0, forget_after_ms=1)
    keeper = Keeper(lambda: [lane], Alarm(), outage, always)

    refused = keeper.run_once()
    lasted_s = outage.lasted_s
    granted = keeper.run_once()

    assert (refused, granted) == (False, True)
    assert lasted_s > 0
    assert outage.lasted_s == 0
