"""Alloy: scripts of tenants. What workers and command line need to run them; how they are run is not known here."""

from rustok.modules.alloy.checks import CheckedVersion, accept_version, reject_version
from rustok.modules.alloy.documents import cron_event
from rustok.modules.alloy.effects import EffectRefused, EffectsOf, apply_effects
from rustok.modules.alloy.host import Host, Refused, Seen
from rustok.modules.alloy.kinds import CALL, CHECK, RUN
from rustok.modules.alloy.limits import RunLimits, ScriptLimits
from rustok.modules.alloy.record import Attempted, record_failure, record_successes
from rustok.modules.alloy.run_repository import keep_bytecode, load_code, load_script, purge
from rustok.modules.alloy.state import USE_SECRETS, open_secret

__all__ = [
    "CALL",
    "CHECK",
    "RUN",
    "USE_SECRETS",
    "Attempted",
    "CheckedVersion",
    "EffectRefused",
    "EffectsOf",
    "Host",
    "Refused",
    "RunLimits",
    "ScriptLimits",
    "Seen",
    "accept_version",
    "apply_effects",
    "cron_event",
    "keep_bytecode",
    "load_code",
    "load_script",
    "open_secret",
    "purge",
    "record_failure",
    "record_successes",
    "reject_version",
]
