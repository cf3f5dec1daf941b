"""`rustok secrets` and `rustok kv`: what scripts use, and what they keep."""

import json

from tests.integration.alloy.workshop import Workshop
from tests.integration.cli.conftest import Cli


async def test_a_secret_is_read_from_standard_input_and_never_shown(workshop: Workshop, cli: Cli, program: Cli) -> None:
    """Its name and version are all that anybody sees; a new value is a new version."""
    first = await program("secrets", "set", "chat-token", "--json", stdin="s3cret-value\n")
    second = await cli("secrets", "set", "chat-token", "--json", stdin="another-value")
    listed = await cli("secrets", "list", "--json")

    [kept] = (await workshop.query("alloy.secrets.list")).data
    assert [json.loads(finished.out)[0]["version"] for finished in (first, second)] == [1, 2]
    assert [secret["name"] for secret in json.loads(listed.out)] == ["chat-token"]
    assert (kept.name, kept.version) == ("chat-token", 2)
    assert "value" not in first.out + second.out + listed.out + first.err + second.err


async def test_a_secret_is_deleted_after_a_yes(workshop: Workshop, cli: Cli, program: Cli) -> None:
    """The question says which scripts name it."""
    await workshop.script("pass", name="tagger", secrets=["chat-token"])
    await cli("secrets", "set", "chat-token", stdin="s3cret-value")

    unanswered = await program("secrets", "rm", "chat-token")
    kept = (await workshop.query("alloy.secrets.list")).data
    removed = await cli("secrets", "rm", "chat-token", "--yes", "--json")
    again = await cli("secrets", "rm", "chat-token", "--yes")

    assert unanswered.code == 1
    assert "Delete the secret chat-token, which tagger names?" in unanswered.err
    assert [secret.name for secret in kept] == ["chat-token"]
    assert json.loads(removed.out) == [{"name": "chat-token"}]
    assert "(secret_not_found)" in again.err


async def test_an_empty_secret_and_a_bad_name_are_refused(workshop: Workshop, cli: Cli) -> None:
    """One coded line, and where the fault is."""
    empty = await cli("secrets", "set", "chat-token", stdin="\n")
    misnamed = await cli("secrets", "set", "Chat Token", stdin="value")

    assert (empty.code, misnamed.code) == (1, 1)
    assert (await workshop.query("alloy.secrets.list")).data == []
    assert "/value" in empty.err
    assert "/name" in misnamed.err


async def test_a_value_is_written_read_listed_and_deleted(workshop: Workshop, cli: Cli) -> None:
    """What is printed is the value as JSON, for other commands to read."""
    await workshop.script("pass", name="tagger")

    written = await cli("kv", "put", "tagger", "state", '{"seen": [1, "é"]}', "--ttl-s", "3600", "--json")
    read = await cli("kv", "get", "tagger", "state")
    whole = await cli("kv", "get", "tagger", "state", "--json")
    listed = await cli("kv", "list", "tagger")
    unanswered = await cli("kv", "rm", "tagger", "state")
    removed = await cli("kv", "rm", "tagger", "state", "--yes", "--json")
    gone = await cli("kv", "get", "tagger", "state")

    assert json.loads(written.out)[0]["expires_at"] is not None
    assert read.out == '{"seen": [1, "é"]}\n'
    assert json.loads(whole.out)[0]["value"] == {"seen": [1, "é"]}
    assert 'state  {"seen": [1, "é"]}' in listed.out
    assert unanswered.code == 1
    assert 'Delete state of tagger, which is {"seen": [1, "é"]}?' in unanswered.err
    assert json.loads(removed.out) == [{"key": "state"}]
    assert "(value_not_found)" in gone.err


async def test_a_value_is_written_only_at_its_version(workshop: Workshop, cli: Cli) -> None:
    """`--if-version 0` writes only where there is none."""
    await workshop.script("pass", name="tagger")

    new = await cli("kv", "put", "tagger", "state", "1", "--if-version", "0", "--json")
    taken = await cli("kv", "put", "tagger", "state", "2", "--if-version", "0")
    version = json.loads(new.out)[0]["version"]
    next_one = await cli("kv", "put", "tagger", "state", "null", "--if-version", str(version))

    assert taken.code == 1
    assert "(version_mismatch)" in taken.err
    assert next_one.code == 0


async def test_a_value_that_readers_would_read_differently_is_a_wrong_call(offline: Cli) -> None:
    """The strict reading of the API holds here too."""
    for value, reason in (
        ("text", "not JSON"),
        ("NaN", "NaN and Infinity are no JSON numbers"),
        ('{"a": 1, "a": 2}', "must not hold a name twice"),
        ("1e999", "other numbers a double"),
    ):
        wrong = await offline("kv", "put", "tagger", "state", value)

        assert wrong.code == 2
        assert reason in wrong.err
