"""Who acts, for which tenant, and in what chain of causes."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from rustok.kernel.errors import Forbidden, ModuleOff
from rustok.kernel.ids import uuid7
from rustok.kernel.permission import module_name


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who acts. `authz_version` is the tenant's when `permissions` were read.

    None means that the rights do not come from the tenant's roles (an operator, the platform itself).
    `scripts_version` is the tenant's when a script was read, for what is done by it or about it.
    `modules_off` are switched off for the tenant: nobody does anything of theirs.
    `own_permissions` hold for what the principal has made. `subject`: the user or the service principal who is behind
    it; None: nobody of the tenant. `session_id`: the rights end with this session. `is_scoped`: it is a key
    that may do less than its subject; `expires_at`: when the key ends.
    """

    kind: str
    id: str
    permissions: frozenset[str]
    authz_version: int | None = None
    scripts_version: int | None = None
    modules_off: frozenset[str] = frozenset()
    own_permissions: frozenset[str] = frozenset()
    subject: UUID | None = None
    session_id: UUID | None = None
    is_scoped: bool = False
    expires_at: datetime | None = None

    @property
    def actor(self) -> str:
        """How events name the principal: `apikey:0198…`."""
        return f"{self.kind}:{self.id}"

    def require_module(self, name: str) -> None:
        """Raise ModuleOff if the module *name* is switched off."""
        if name in self.modules_off:
            raise ModuleOff(f"The module {name} is switched off for this tenant.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances of one command or query. Correlation is the root's id, causation the last cause's."""

    tenant_id: UUID
    principal: Principal
    correlation_id: UUID = field(default_factory=uuid7)
    causation_id: UUID = field(default_factory=uuid7)
    traceparent: str | None = None

    def require(self, permission: str) -> None:
        """Return when the principal has *permission*, and its module is on.

        Raises:
            ModuleOff: it is off.
            Forbidden: the principal lacks the permission.

        """
        self.principal.require_module(module_name(permission))
        self.require_permission(permission)

    def require_permission(self, permission: str) -> None:
        """Raise Forbidden unless the principal has *permission*, whether its module is on or off.

        That it holds for what the principal has made alone is enough here: the unit of work sees to that.
        """
        principal = self.principal
        if permission not in principal.permissions and permission not in principal.own_permissions:
            raise Forbidden(f"This needs the permission {permission}.")

    def is_bound_to_own(self, permission: str) -> bool:
        """Tell whether the principal has *permission* for what it has made itself, and for nothing else."""
        return permission not in self.principal.permissions
