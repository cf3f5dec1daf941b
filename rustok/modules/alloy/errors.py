"""What can go wrong with scripts."""

from rustok.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound


class ScriptNotFound(NotFound):
    """The tenant has no script with this id."""

    code = "script_not_found"


class ScriptVersionNotFound(NotFound):
    """The script has no version with this number."""

    code = "script_version_not_found"


class RunNotFound(NotFound):
    """The tenant has no run with this id, or it ended too long ago."""

    code = "run_not_found"


class ValueNotFound(NotFound):
    """The script keeps nothing under this key."""

    code = "value_not_found"


class SecretNotFound(NotFound):
    """The tenant has no secret with this name."""

    code = "secret_not_found"


class DuplicateScriptName(Conflict):
    """Another script of the tenant has this name."""

    code = "script_name_taken"


class VersionNotReady(Conflict):
    """Only a version that passed its check can run."""

    code = "script_version_not_ready"


class NotStartable(Conflict):
    """The script is not active, or nobody may start it: it has neither of the triggers `api` and `manual`."""

    code = "script_not_startable"


class RunNotDead(Conflict):
    """Only a run that was given up can be driven again."""

    code = "run_not_dead"


class QuotaExceeded(Conflict):
    """The tenant has as many of these as it may have."""

    code = "quota_exceeded"


class GrantNotAllowed(InvalidInput):
    """No script gets this right."""

    code = "grant_not_allowed"


class BeyondGrants(Forbidden):
    """Whoever decides what a script runs must hold all that the script was granted, and may use its secrets."""

    code = "beyond_grants"
