"""Partial updates: JSON Merge Patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from rustok.kernel.validation import invalid_input


def merge_patch(target: Any, patch: Any) -> Any:
    """Return *target*, JSON, with *patch* applied; neither of them is changed.

    An object is merged into the one that is there, null removes a member, anything else replaces what is there.
    """
    if not isinstance(patch, Mapping):
        return patch
    merged = {**target} if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def changed_fields(model: type[BaseModel], stored: Mapping[str, Any], patch: BaseModel) -> dict[str, Any]:
    """Return the fields that *patch* has, with the values that they have after it.

    *stored* has all fields of *model*, of which the result is one: what null removes gets its default.

    Raises:
        InvalidInput: the result is no such model.

    """
    document = {name: stored[name] for name in model.model_fields}
    changes = {
        name: value for name, value in patch.model_dump(exclude_unset=True).items() if name in model.model_fields
    }
    try:
        return model.model_validate(merge_patch(document, changes)).model_dump(include=set(changes))
    except ValidationError as error:
        raise invalid_input(error) from error
