"""Groups of commands that list their members by name, and import one when it is asked for."""

from collections.abc import Callable, Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup


def lazy_group(purposes: Mapping[str, str], load: Callable[[str], Any]) -> type[TyperGroup]:
    """Return the class of a group whose members are named with their *purposes*; *load* imports one."""

    class Lazy(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = {name: TyperCommand(name, help=purpose) for name, purpose in purposes.items()}

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, command, rest = super().resolve_command(ctx, args)
            return name, command and load(str(command.name)), rest

    return Lazy
