"""What can go wrong with an embedded server; each class has a stable ``code`` and says what to do."""


class EmbeddedServerError(Exception):
    code = "embedded_server_error"
    retryable = False


class ServerBinaryNotFound(EmbeddedServerError):
    code = "server_binary_not_found"


class ServerStartFailed(EmbeddedServerError):
    """Carries the tail of the server's own log."""

    code = "server_start_failed"


class StateInUse(EmbeddedServerError):
    code = "state_in_use"


class StateUnusable(EmbeddedServerError):
    code = "state_unusable"


class DataVersionMismatch(EmbeddedServerError):
    code = "data_version_mismatch"


class AccountMissing(EmbeddedServerError):
    code = "account_missing"


class NotMainThread(EmbeddedServerError):
    code = "not_main_thread"
