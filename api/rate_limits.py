"""Bounds how many requests a tenant sends to this process: a bucket a tenant, which fills evenly. It costs no query.

The header fields are those of draft-ietf-httpapi-ratelimit-headers. Why each process counts for itself is in
docs/decisions/0032-each-process-bounds-its-requests.md.
"""

import math
from collections.abc import Mapping
from uuid import UUID

from api.faults import RateLimited
from rustok.kernel.ports import Clock
from rustok.kernel.quota import Quota

_SWEEP_EVERY_S = 60.0
_DECIMALS = 6
"""Of a unit: the rounding of a clock must not cost one."""


class RateLimits:
    """One a process. It knows of the tenants whose buckets are not full, or were not a minute ago."""

    def __init__(self, quota: Quota, clock: Clock) -> None:
        self._quota = quota
        self._clock = clock
        self._full_at_s: dict[UUID, float] = {}
        self._swept_at_s = clock.monotonic_s()

    @property
    def tenants(self) -> int:
        """How many are remembered."""
        return len(self._full_at_s)

    def charge(self, tenant_id: UUID, own: Quota | None, units: int = 1) -> None:
        """Take *units* of the tenant's quota: its *own*, or that of all.

        One must be left, the others may be owed: a batch of more than are left is done, and waited for afterwards.

        Raises:
            RateLimited: none is left, and none was taken.

        """
        quota = own or self._quota
        owed_s = self._owed_s(tenant_id)
        left, more_in_s = _standing(quota, owed_s)
        if left == 0:
            raise RateLimited(f"This tenant has used up its quota of {quota}: send the request later.", more_in_s)
        self._full_at_s[tenant_id] = self._clock.monotonic_s() + owed_s + units * quota.window_s / quota.units

    def fields(self, tenant_id: UUID, own: Quota | None) -> Mapping[str, str]:
        """Return the header fields that tell a tenant its quota, what is left of it, and when there will be more."""
        quota = own or self._quota
        left, more_in_s = _standing(quota, self._owed_s(tenant_id))
        return {
            "RateLimit-Policy": f'"tenant";q={quota.units};w={quota.window_s}',
            "RateLimit": f'"tenant";r={left};t={more_in_s}',
        }

    def _owed_s(self, tenant_id: UUID) -> float:
        """Return in how many seconds the tenant's bucket is full."""
        now_s = self._clock.monotonic_s()
        if now_s - self._swept_at_s >= _SWEEP_EVERY_S:  # a full bucket says nothing that a new one would not
            self._full_at_s = {tenant: at_s for tenant, at_s in self._full_at_s.items() if at_s > now_s}
            self._swept_at_s = now_s
        return max(0.0, self._full_at_s.get(tenant_id, now_s) - now_s)


def _standing(quota: Quota, owed_s: float) -> tuple[int, int]:
    """Return how many units are left, and in how many seconds there will be one more."""
    used = round(owed_s * quota.units / quota.window_s, _DECIMALS)
    left = max(0, math.floor(quota.units - used))
    return left, math.ceil((used + left + 1 - quota.units) * quota.window_s / quota.units)
