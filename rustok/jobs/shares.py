"""Whose turn it is: deficit round robin among the tenants of a queue, in worker-seconds.

An account says how far a tenant has come: the worker-seconds that its jobs have taken, over its weight, and those that
its jobs in flight are going to take, going by the earlier ones. Whoever is at most a quantum ahead of the tenant that
has come least far may have the next hint; whoever is further ahead waits. So slow jobs and quick ones get the same
time, and who is alone gets all of it. Who had nothing to do starts where the others are: time that was not used is not
saved up, and time that was used too much is not forgotten. Who cannot use its turns, since no worker takes up its
hints, holds up nobody for long. Nothing is stored. What is leased, by whomever, is looked at now and then: short jobs
are met as often as they run for long together. A relay that starts anew begins with equal turns.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple
from uuid import UUID

_LONGEST_LOOK_S = 1.0
"""What was leased for longer than this is not known from one look."""
_LEAST_S = 0.002
"""What a job takes at least: to lease it and to end it. Shorter ones may run between two looks."""
_FADING = 100
"""Jobs of a tenant after which the earlier ones count half in what one takes."""


class Standing(NamedTuple):
    """How many jobs of a tenant are leased now, and its weight."""

    leased: int = 0
    weight: float = 1.0


class Chosen(NamedTuple):
    """A job that may be hinted at; `is_among_first` where its tenant has next to nothing in flight."""

    id: UUID
    tenant_id: UUID
    is_among_first: bool = False


_NOTHING = Standing()


@dataclass(frozen=True, slots=True)
class SharesConfig:
    quantum_s: float = 0.1
    idle_s: float = 1.0
    """Who has had nothing to do for this long has nothing to catch up with."""
    memory_s: float = 30.0
    """For how long a tenant that has nothing to do is still reckoned with."""
    first: int = 2
    """How many jobs of a tenant, leased or hinted at, are its first ones."""
    short_s: float = 1.0
    """Longer jobs are never among the first ones: they would keep the others waiting, as a flood does."""


@dataclass(slots=True)
class _Account:
    used_s: float
    claimed_s: float
    standing: Standing = _NOTHING
    begun: float = 0.0
    begun_since_look: int = 0
    taken_s: float = 0.0
    is_stuck: bool = False
    lost_s: float = -inf
    """When its hints were last not taken up."""

    @property
    def a_job_s(self) -> float:
        """What a job of the tenant takes, going by the earlier ones."""
        return self.taken_s / self.begun if self.begun else 0.0

    def ahead_s(self, hints: int) -> float:
        """Return how far the tenant will have come when all that is in flight has ended."""
        return self.used_s + (self.standing.leased + hints) * self.a_job_s / self.standing.weight


class Shares:
    """The accounts of one queue. `now_s` is that of a monotonic clock."""

    def __init__(self, config: SharesConfig) -> None:
        self._config = config
        self._accounts: dict[UUID, _Account] = {}
        self._looked_s: float | None = None

    @property
    def are_several(self) -> bool:
        """Whether more than one tenant has had work lately."""
        return len(self._accounts) > 1

    def claim(self, now_s: float, tenant_ids: Collection[UUID]) -> None:
        """Reckon with tenants that have work, and no more with those that have had none for long."""
        known = {t: a for t, a in self._accounts.items() if t in tenant_ids and not a.is_stuck}
        recent = [a for a in known.values() if now_s - a.claimed_s < self._config.idle_s]
        start_s = min((a.used_s for a in recent or known.values()), default=0.0)
        for tenant_id in tenant_ids:
            account = self._accounts.setdefault(tenant_id, _Account(start_s, now_s))
            if account.is_stuck or now_s - account.claimed_s >= self._config.idle_s:
                account.used_s = max(account.used_s, start_s)
            account.claimed_s = now_s
        forgotten_s = now_s - self._config.memory_s
        self._accounts = {t: a for t, a in self._accounts.items() if a.claimed_s > forgotten_s}

    def begun(self, hints: Mapping[UUID, int]) -> None:
        """Count hints, by tenant, that workers have taken up."""
        for tenant_id in hints.keys() & self._accounts.keys():
            account = self._accounts[tenant_id]
            account.begun += hints[tenant_id]
            account.begun_since_look += hints[tenant_id]
            account.is_stuck = False

    def lost(self, now_s: float, tenant_ids: Collection[UUID]) -> None:
        """Let those whose hints nobody takes up hold up nobody, until one is."""
        for tenant_id in tenant_ids & self._accounts.keys():
            self._accounts[tenant_id].is_stuck = True
            self._accounts[tenant_id].lost_s = now_s

    def charge(self, now_s: float, standings: Mapping[UUID, Standing]) -> None:
        """Charge for what is leased, as if that had been so since the last look."""
        elapsed_s = 0.0 if self._looked_s is None else min(now_s - self._looked_s, _LONGEST_LOOK_S)
        self._looked_s = now_s
        for tenant_id, account in self._accounts.items():
            account.standing = standings.get(tenant_id, _NOTHING)
            spent_s = max(account.standing.leased * elapsed_s, account.begun_since_look * _LEAST_S)
            account.begun_since_look = 0
            account.used_s += spent_s / account.standing.weight
            account.taken_s += spent_s
            if account.begun > _FADING:
                account.begun /= 2
                account.taken_s /= 2

    def choose(
        self, ready: Sequence[tuple[UUID, UUID]], hinted: Mapping[UUID, int], most_a_tenant: int
    ) -> list[Chosen]:
        """Return those of *ready*, jobs with their tenants in turns, that may be hinted at now.

        *hinted*: how many hints of each tenant, which has claimed, are on their way; a tenant has *most_a_tenant*.
        """
        hints = Counter(hinted)
        tenant_ids = {tenant_id for _, tenant_id in ready} | hinted.keys()
        ahead_s = {tenant_id: self._accounts[tenant_id].ahead_s(hints[tenant_id]) for tenant_id in tenant_ids}
        able = [t for t in tenant_ids if not self._accounts[t].is_stuck] or tenant_ids
        limit_s = min((ahead_s[tenant_id] for tenant_id in able), default=0.0) + self._config.quantum_s
        chosen = []
        for job_id, tenant_id in ready:
            account, in_hints = self._accounts[tenant_id], hints[tenant_id]
            if in_hints < most_a_tenant and account.ahead_s(in_hints) <= limit_s:
                hints[tenant_id] += 1
                chosen.append(Chosen(job_id, tenant_id, self._is_among_first(account, in_hints)))
        return chosen

    def _is_among_first(self, account: _Account, hints: int) -> bool:
        """Tell whether the next job is a first one. After a hint that was lost none is for a while: whoever works may
        not listen.
        """
        was_lost = self._looked_s is not None and self._looked_s - account.lost_s < self._config.memory_s
        is_short = account.a_job_s < self._config.short_s
        return account.standing.leased + hints < self._config.first and is_short and not was_lost
