"""One server a session, one namespace a test, and every broker closed at its end."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from dramatiq.brokers.stub import StubBroker

from tests.conformance.broker.harness import StreamBrokers, Subject, Valkey
from workers.broker import NoRetries, StreamBroker


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    directory: Path = tmp_path_factory.mktemp("valkey")
    valkey = Valkey(directory)
    valkey.start()
    yield valkey
    valkey.stop()


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
