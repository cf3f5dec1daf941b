"""A merge patch is RFC 7396's, case by case and beside the pseudo-code of its section 2."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustok.kernel.merge_patch import merge_patch

APPENDIX_A = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]
NAMES = st.sampled_from(["a", "b", "c", ""])
"""Few, so that target and patch have names in common."""
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=4),
)


@pytest.mark.parametrize(("target", "patch", "result"), APPENDIX_A)
def test_the_cases_of_the_rfc(target: str, patch: str, result: str) -> None:
    """Appendix A of RFC 7396."""
    assert merge_patch(json.loads(target), json.loads(patch)) == json.loads(result)


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_does_what_the_pseudo_code_of_the_rfc_does(target: Any, patch: Any) -> None:
    """Whatever the target and the patch are; neither of them is changed."""
    before = json.dumps([target, patch])

    result = merge_patch(target, patch)

    assert json.dumps([target, patch]) == before
    assert json.dumps(result) == json.dumps(reference(json.loads(json.dumps(target)), patch))


def reference(target: Any, patch: Any) -> Any:
    """MergePatch of RFC 7396, section 2, line by line; it changes *target*."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}  # ignore the contents and set it to an empty object
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]  # remove the name/value pair
            else:
                target[name] = reference(target.get(name), value)
        return target
    return patch
