"""One server a session, one namespace a test, and every broker closed at its end."""

import uuid
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import redis
from dramatiq.brokers.stub import StubBroker

from rustok.embedded import embedded_redis, temporary_state_dir
from tests.conformance.broker.harness import StreamBrokers, Subject, Valkey
from workers.broker import NoRetries, StreamBroker


@pytest.fixture(scope="session")
def server() -> Iterator[Valkey]:
    with temporary_state_dir() as state_dir, embedded_redis(state_dir) as redis_server:
        yield Valkey(redis_server)


@pytest.fixture
def client(server: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, protocol=2) as client:
        yield client


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def brokers(server: Valkey, namespace: str) -> Iterator[StreamBrokers]:
    """Makes brokers of one namespace: the processes of one installation."""
    made: list[StreamBroker] = []

    def make(**options: object) -> StreamBroker:
        arguments: dict[str, Any] = {"url": server.url, "namespace": namespace, **options}
        made.append(StreamBroker(**arguments))
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.fixture(params=["stub", "stream"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "stub":
        stub = StubBroker([NoRetries()], fail_fast_default=False)
        return Subject(stub, lambda queue: [letter.message_id for letter in stub.dead_letters_by_queue[queue]])
    stream = request.getfixturevalue("brokers")()
    client = request.getfixturevalue("client")
    return Subject(
        stream,
        lambda queue: [
            orjson.loads(fields[b"m"])["message_id"] for _, fields in client.xrange(f"{stream.namespace}:dead:{queue}")
        ],
    )
