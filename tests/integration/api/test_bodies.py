"""The strict reading of bodies: what is refused, with which code, and at which place."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from rustok.kernel.errors import InvalidInput
from rustok.kernel.strict_json import MalformedJson, parse
from rustok.testing import PlatformUnderTest
from tests.corpora.read import json_texts
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, assert_problem, pointers, settings_for

NOT_JSON = {
    "nothing but a space": b" ",
    "cut off": b'{"a": ',
    "a trailing comma": b'{"a": 1,}',
    "two values": b"{} {}",
    "single quotes": b"{'a': 1}",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a leading zero": b'{"a": 01}',
    "a comment": b"{} // yes",
    "a raw control character": b'{"a": "\x01"}',
    "a bad escape": b'{"a": "\\x41"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "Latin-1": b'{"a": "\xe9"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "an overlong encoding": b'{"a": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
}
NOT_INTEROPERABLE = {
    "a name twice": (b'{"seo": {"a": 1, "a": 1}}', "#/seo", "duplicate_name"),
    "NUL": (b'{"vendor": "\\u0000"}', "#/vendor", "text_not_storable"),
    "NUL in a name": (b'{"seo": {"\\u0000": 1}}', "#/seo", "text_not_storable"),
    "a lone surrogate": (b'{"seo": {"a": ["\\ud800"]}}', "#/seo/a/0", "text_not_storable"),
    "a lone surrogate in a name": (b'{"\\udfff": 1}', "#", "text_not_storable"),
    "2 ** 63": (b'{"seo": {"a": 9223372036854775808}}', "#/seo/a", "number_out_of_range"),
    "thousands of digits": (b'{"seo": ' + b"9" * 5000 + b"}", "#", "number_out_of_range"),
    "a huge exponent": (b'{"seo": {"a": 1e131071}}', "#/seo/a", "number_out_of_range"),
    "33 levels": (b'{"seo": ' + b"[" * 32 + b"]" * 32 + b"}", "#/seo" + "/0" * 31, "too_deep"),
    "100,000 levels": (b"[" * 100_000, "#", "too_deep"),
    "10,001 values": (b'{"tags": [' + b"1," * 9_998 + b"1]}", "#", "too_many_values"),
    "a list": (b"[]", "#", "object_expected"),
    "an escaped name": (b'{"seo": {"a/b~\\u00e9": 1e999}}', "#/seo/a~1b~0%C3%A9", "number_out_of_range"),
}  # fmt: skip


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_what_is_not_json_is_malformed(shared_api: ApiUnderTest, body: bytes) -> None:
    """RFC 8259, in UTF-8 without a byte order mark."""
    assert_problem(await shared_api.post_text(body), 400, "malformed_json")


@pytest.mark.under_fire
async def test_what_is_json_is_kept_and_what_is_not_is_refused(api: ApiUnderTest) -> None:
    """Each text of JSONTestSuite, alone and as a part of a body; what is kept is answered as it was sent."""
    kept = 0
    for name, text in json_texts().items():
        start = json.dumps({"translations": {"en": {"title": name}}})[:-1].encode()

        alone = await api.post_text(text)
        part = await api.post_text(start + b', "seo": {"value": ' + text + b"}}")

        assert alone.status_code in (400, 422), name
        if part.status_code == 201:
            kept += 1
            assert part.json()["seo"] == {"value": parse(text)}, name
        else:
            assert part.status_code in (400, 422), name
            with pytest.raises((MalformedJson, InvalidInput)):
                parse(text)
    assert kept == 93


async def test_a_malformed_body_is_told_by_its_position_only(shared_api: ApiUnderTest) -> None:
    """The answer must not repeat what may be a secret."""
    response = await shared_api.post_text('{"vendor":\n  hunter2}')

    problem = assert_problem(response, 400, "malformed_json")
    assert problem["detail"] == "The text is not JSON: see its line 2, column 3."
    assert "hunter2" not in response.text


@pytest.mark.parametrize(("body", "pointer", "code"), NOT_INTEROPERABLE.values(), ids=NOT_INTEROPERABLE.keys())
async def test_what_readers_understand_differently_is_refused(
    shared_api: ApiUnderTest, body: bytes, pointer: str, code: str
) -> None:
    """RFC 7493 (I-JSON), and what PostgreSQL cannot store."""
    response = await shared_api.post_text(body)

    assert pointers(assert_problem(response, 422, "invalid_input")) == [(pointer, code)]


async def test_a_body_at_the_limits_is_read(api: ApiUnderTest) -> None:
    """32 levels, int64 at both ends, an escaped pair of surrogates, and a backslash before u0000."""
    deep: object = "\\u0000"
    for _ in range(29):
        deep = [deep]
    seo = {"deep": deep, "low": -(2**63), "high": 2**63 - 1, "pair": "\U0001f600"}

    response = await api.post_text(json.dumps(a_product(seo=seo)))

    assert (response.status_code, response.json()["seo"]) == (201, seo)


async def test_unknown_fields_and_wrong_types_are_all_named(shared_api: ApiUnderTest) -> None:
    """One answer names every fault, and no value."""
    body = {"translations": {"en": {"title": 7}}, "vender": "hunter2", "tags": "a", "status": True}

    response = await shared_api.client.post(PRODUCTS, json=body)

    assert sorted(pointers(assert_problem(response, 422, "invalid_input"))) == [
        ("#/status", "literal_error"),
        ("#/tags", "list_type"),
        ("#/translations/en/title", "string_type"),
        ("#/vender", "extra_forbidden"),
    ]
    assert "hunter2" not in response.text


async def test_a_problem_lists_a_hundred_faults_at_most(shared_api: ApiUnderTest) -> None:
    """A small request must not get a huge answer."""
    body = {f"field{n}": 1 for n in range(1000)} | {"x" * 10_000: 1}

    response = await shared_api.client.post(PRODUCTS, json=body)

    assert len(assert_problem(response, 422, "invalid_input")["errors"]) == 100
    assert len(response.content) < 50_000


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": "application/merge-patch+json"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_another_media_type_is_refused(shared_api: ApiUnderTest, headers: dict[str, str]) -> None:
    """JSON in UTF-8, as it is; a merge patch only with PATCH."""
    assert_problem(await shared_api.post_text(json.dumps(a_product()), **headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", 'Application/JSON;Charset="UTF-8"'])
async def test_the_media_type_may_name_utf_8(api: ApiUnderTest, media_type: str) -> None:
    """Media types are compared without case."""
    response = await api.post_text(json.dumps(a_product()), **{"Content-Type": media_type})

    assert response.status_code == 201


async def test_an_announced_body_over_the_limit_is_not_read(rustok: PlatformUnderTest) -> None:
    """413 by Content-Length; the connection is closed, since the body is still to come."""
    settings = settings_for(rustok.database, body_limit_bytes=2048)
    async with ApiUnderTest.open(rustok, settings=settings) as api:
        response = await api.post_text(b" " * 2049)

    assert_problem(response, 413, "body_too_large")
    assert response.headers["connection"] == "close"


async def test_a_chunked_body_is_not_read_past_the_limit(rustok: PlatformUnderTest) -> None:
    """Without a Content-Length the bytes are counted as they arrive."""
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1024
            yield b" " * 1024

    settings = settings_for(rustok.database, body_limit_bytes=2048)
    async with ApiUnderTest.open(rustok, settings=settings) as api:
        response = await api.client.post(PRODUCTS, content=chunks(), headers={"Content-Type": "application/json"})

    assert_problem(response, 413, "body_too_large")
    assert sent == 3 * 1024


async def test_a_body_that_does_not_arrive_is_given_up(rustok: PlatformUnderTest) -> None:
    """408: a client that dribbles must not hold a request for ever."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with ApiUnderTest.open(rustok, body_timeout_s=0.01) as api:
        response = await api.client.post(PRODUCTS, content=stalled(), headers={"Content-Type": "application/json"})

    assert assert_problem(response, 408, "request_timeout")["retryable"] is True
