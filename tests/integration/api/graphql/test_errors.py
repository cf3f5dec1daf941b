"""What goes wrong in a field: told by its code, and never in Python's words; the caller's own faults are problems."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from rustok.catalog import MODULES
from rustok.kernel.errors import Misconfigured, Unavailable
from rustok.kernel.module import Result
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.graphql.support import PATH, data, fault, post
from tests.integration.api.support import ApiUnderTest, administrator, assert_problem, bearer, settings_for
from tests.unit.modules_by_hand import FindLamps, a_query, lamps
from tests.waiting import eventually_async

ASK = '{{ findRoomLamps(room: "{}") {{ lampId }} __typename }}'


async def fail(_uow: object, data: FindLamps) -> Result:
    raise {
        "dark": ZeroDivisionError("hunter2"),
        "empty": KeyError("hunter2"),
        "closed": Misconfigured("hunter2"),
        "busy": Unavailable("The lamps do not answer.", is_rolled_back=True),
    }[data.room]


BROKEN = lamps(queries=(a_query(handler=fail),), commands=(), projections=())


@pytest.mark.parametrize("room", ["dark", "closed"])
async def test_a_defect_is_logged_once_and_tells_the_caller_nothing(rustok: PlatformUnderTest, room: str) -> None:
    """What the other fields have found is answered beside it."""
    async with ApiUnderTest.open(rustok, modules=(*MODULES, BROKEN)) as api:
        with capture_logs() as lines:
            answer = await post(api, ASK.format(room))

    assert answer.json()["data"] == {"findRoomLamps": None, "__typename": "Query"}
    assert (fault(answer)["code"], fault(answer)["retryable"]) == ("internal_error", False)
    assert "hunter2" not in answer.text
    assert [line["event"] for line in lines] == ["graphql_field_failed", "http_request_finished"]
    assert lines[0]["exc_info"]
    assert lines[1]["code"] == "internal_error"


async def test_a_defect_in_many_fields_is_logged_once(rustok: PlatformUnderTest) -> None:
    """With how many others there were; each field is told."""
    fields = " ".join(f'a{number}: findRoomLamps(room: "dark") {{ lampId }}' for number in range(5))
    async with ApiUnderTest.open(rustok, modules=(*MODULES, BROKEN)) as api:
        with capture_logs() as lines:
            answer = await post(api, f"{{ {fields} }}")

    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["internal_error"] * 5
    assert [error["path"] for error in answer.json()["errors"]] == [[f"a{number}"] for number in range(5)]
    [line] = [line for line in lines if line["event"] == "graphql_field_failed"]
    assert (line["path"], line["others"], str(line["exc_info"])) == (["a0"], 4, "hunter2")


async def test_what_does_not_answer_many_fields_is_logged_once(rustok: PlatformUnderTest) -> None:
    """Beside each kind of defect: a database that is away makes all of them fail."""
    fields = " ".join(
        f'{room}{number}: findRoomLamps(room: "{room}") {{ lampId }}'
        for number in range(3)
        for room in ("busy", "dark", "empty")
    )
    async with ApiUnderTest.open(rustok, modules=(*MODULES, BROKEN)) as api:
        with capture_logs() as lines:
            answer = await post(api, f"{{ {fields} }}")

    codes = [error["extensions"]["code"] for error in answer.json()["errors"]]
    assert codes == ["unavailable", "internal_error", "internal_error"] * 3
    failed = [line for line in lines if line["event"] == "graphql_field_failed"]
    assert [(line["log_level"], line["path"], line["others"]) for line in failed] == [
        ("warning", ["busy0"], 2),
        ("error", ["dark0"], 2),
        ("error", ["empty0"], 2),
    ]


async def test_what_may_succeed_later_is_said_to(rustok: PlatformUnderTest) -> None:
    async with ApiUnderTest.open(rustok, modules=(*MODULES, BROKEN)) as api:
        answer = await post(api, ASK.format("busy"))

    [error] = answer.json()["errors"]
    assert error["message"] == "The lamps do not answer."
    assert (error["extensions"]["code"], error["extensions"]["retryable"]) == ("unavailable", True)


async def test_a_fault_in_the_document_says_where(shared_api: ApiUnderTest) -> None:
    malformed = (await post(shared_api, "{\n  products( }")).json()["errors"][0]
    invalid = (await post(shared_api, "{\n  produkts { id } }")).json()["errors"][0]

    assert malformed["locations"] == [{"line": 2, "column": 13}]
    assert invalid["locations"] == [{"line": 2, "column": 3}]


@pytest.mark.parametrize("value", ["x" * 100_000, "\x1b[31m\u202e\n" * 10_000, ["\u2028" * 100] * 100])
async def test_a_message_repeats_little_of_an_input_and_only_what_can_be_printed(
    shared_api: ApiUnderTest, value: Any
) -> None:
    """It is for people: it goes to terminals and into logs of clients."""
    document = "query ($status: ProductStatus) { products(status: $status) { edges { cursor } } }"

    answer = await post(shared_api, document, status=value)

    message = answer.json()["errors"][0]["message"]
    assert message.startswith("Variable '$status' has invalid value: ")
    assert (fault(answer)["code"], len(message), message.isprintable()) == ("graphql_invalid", 200, True)


async def test_faults_of_the_caller_are_problems(api: ApiUnderTest) -> None:
    """As everywhere: before anything of the document is read."""
    body = {"query": "{"}

    unknown = await api.client.post(PATH, json=body, headers=bearer("rtk_test_nobody"))
    elsewhere = await api.client.post(PATH, json=body, headers={"X-Tenant": "globex"})

    assert_problem(unknown, 401, "unauthenticated")
    assert_problem(elsewhere, 403, "tenant_mismatch")


async def test_each_root_field_is_taken_from_the_quota(rustok: PlatformUnderTest) -> None:
    settings = settings_for(rustok.database, request_quota="10/h")
    async with ApiUnderTest.open(rustok, settings=settings) as api:
        answers: list[Any] = [
            await post(api, "{ a: __typename b: __typename c: __typename d: __typename }") for _ in "123"
        ]
        refused = await post(api, "{ __typename }")

    assert [answer.status_code for answer in answers] == [200] * 3
    assert_problem(refused, 429, "rate_limited")


async def test_late_events_keep_writes_out_and_no_reads(rustok: PlatformUnderTest) -> None:
    """Admission is that of REST: nothing of a document is done that has one write too many."""
    clock = FixedClock()
    settings = settings_for(rustok.database, admission_soft_age_s=10.0, admission_hard_age_s=60.0)
    create = 'createNode(input: {kind: "faq", translations: [{locale: "en", title: "Late"}]}) { id }'
    async with ApiUnderTest.open(rustok, settings=settings, clock=clock) as api:
        async with administrator(api.database) as admin:
            await admin.execute("UPDATE outbox SET occurred_at = now() - interval '1 hour'")

        async def is_refused() -> bool:
            clock.advance(1)
            written = await post(api, f"mutation {{ {create} }}")
            return written.status_code == 503 and bool(assert_problem(written, 503, "overloaded"))

        await eventually_async(is_refused)
        before = await data(api, "{ nodes { edges { cursor } } }")
        refused = await post(api, f"mutation {{ a: {create} b: {create} }}")
        after = await data(api, "{ nodes { edges { cursor } } }")

    assert_problem(refused, 503, "overloaded")
    assert len(after["nodes"]["edges"]) == len(before["nodes"]["edges"])
