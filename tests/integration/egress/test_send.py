"""One request goes out, to the address that was checked, and comes back within its limits."""

import asyncio
import time
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from rustok.egress import (
    AddressNotAllowed,
    Egress,
    EgressConfig,
    EgressFailed,
    IPAddress,
    SystemResolver,
    parse_networks,
)
from rustok.egress.allow_list import Origin
from rustok.egress.exchange import exchange
from rustok.egress.request import checked
from tests.integration.egress.support import (
    OK,
    Handler,
    Names,
    SilentNames,
    UnknownNames,
    after,
    call,
    egress,
    read_request,
    serving,
    until_gone,
)

MIB = 1_048_576
UNUSED_LOOPBACK = "127.0.0.2"
"""Nobody listens there: servers of the tests bind 127.0.0.1."""


async def test_a_request_arrives_as_it_was_asked_for() -> None:
    """Method, target, headers and body; Host names the host, not the address."""
    async with serving() as server:
        answer = await egress().send(call(server.port, "/orders?new=1", method="PUT", body=b'{"id": 7}'))

    assert (answer.status, answer.body, answer.is_truncated) == (200, b"ok", False)
    assert server.received == [
        b"PUT /orders?new=1 HTTP/1.1\r\n"
        b"host: hooks.example.com:%d\r\n"
        b"connection: close\r\n"
        b"content-length: 9\r\n"
        b"user-agent: rustok\r\n"
        b"accept: */*\r\n"
        b"accept-encoding: identity\r\n"
        b"content-type: application/json\r\n\r\n"
        b'{"id": 7}' % server.port
    ]


async def test_an_answer_tells_its_status_a_few_headers_and_how_long_it_took() -> None:
    """An error is an answer too. Cookies and the like are not kept."""
    said = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nSet-Cookie: a=b\r\nContent-Type: text/plain\r\n\r\nlater"
    async with serving(said) as server:
        started_s = time.monotonic()
        answer = await egress().send(call(server.port))
        took_ms = (time.monotonic() - started_s) * 1000

    assert (answer.status, answer.body) == (503, b"later")
    assert answer.headers == {"retry-after": "7", "content-type": "text/plain"}
    assert 0 <= answer.elapsed_ms <= took_ms + 1


async def test_a_redirect_is_an_answer() -> None:
    """A server that sends callers to loopback sends nobody there."""
    async with serving() as inner:
        location = f"http://127.0.0.1:{inner.port}/admin"
        async with serving(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()) as server:
            answer = await egress().send(call(server.port))

    assert (answer.status, answer.headers) == (302, {"location": location})
    assert inner.connections == 0


async def test_a_name_that_leads_inside_is_refused_and_nothing_is_connected() -> None:
    """The allow-list holds names; where they lead is checked all the same."""
    async with serving() as server:
        with pytest.raises(AddressNotAllowed) as refused:
            await egress(allowed_networks="").send(call(server.port))

    assert "127.0.0.1" not in str(refused.value)
    assert server.connections == 0


@pytest.mark.parametrize(
    "answer",
    [["8.8.8.8", "10.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"], ["8.8.8.8", "::ffff:127.0.0.1"]],
)
async def test_one_refused_address_among_public_ones_refuses_the_call(answer: Sequence[str]) -> None:
    """No honest name leads to the Internet and inside at once."""
    with pytest.raises(AddressNotAllowed):
        await egress(answer, allowed_networks="").send(call(80))


async def test_a_name_is_resolved_once_a_call() -> None:
    """DNS rebinding: a second look between check and connection would find another address."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    way_out = Egress(EgressConfig(allowed_networks=parse_networks("127.0.0.0/8")), names)

    async with serving() as server:
        answer = await way_out.send(call(server.port))
        with pytest.raises(AddressNotAllowed):
            await way_out.send(call(server.port))

    assert answer.status == 200
    assert names.asked == ["hooks.example.com", "hooks.example.com"]
    assert server.connections == 1


async def test_an_address_in_the_allow_list_needs_no_name_server() -> None:
    """What is an address already is not resolved."""
    names = Names(["10.0.0.1"])
    way_out = Egress(EgressConfig(allowed_networks=parse_networks("127.0.0.0/8")), names)

    async with serving() as server:
        answer = await way_out.send(call(server.port, host="127.0.0.1"))

    assert (answer.status, names.asked) == (200, [])


async def test_the_next_address_is_tried_when_one_takes_no_connection() -> None:
    """A host with a dead IPv6 address is a common thing."""
    async with serving() as server:
        answer = await egress([UNUSED_LOOPBACK, "127.0.0.1"]).send(call(server.port))

    assert answer.status == 200


async def test_a_host_that_takes_no_connection_is_a_failure_without_its_address() -> None:
    """The reason is told, where the name leads is not."""
    async with serving() as server:
        port = server.port

    with pytest.raises(EgressFailed, match="Connection refused") as failed:
        await egress([UNUSED_LOOPBACK]).send(call(port))

    assert failed.value.retryable
    assert UNUSED_LOOPBACK not in str(failed.value)


class Diverted(Egress):
    """A way out below which something sends connections elsewhere."""

    async def _open(self, origin: Origin, _address: IPAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await super()._open(origin, ip_address("127.0.0.1"))


async def test_a_connection_that_leads_elsewhere_carries_nothing() -> None:
    """The connected socket is asked for its peer before a byte is sent."""
    config = EgressConfig(allowed_networks=parse_networks("127.0.0.0/8"))

    async with serving() as server:
        with pytest.raises(AddressNotAllowed):
            await Diverted(config, Names([UNUSED_LOOPBACK])).send(call(server.port))
        await server.left.wait()

    assert (server.connections, server.received) == (1, [])


async def test_a_name_without_an_address_is_a_failure() -> None:
    """The name may be there tomorrow."""
    with pytest.raises(EgressFailed, match="has no address"):
        await egress([]).send(call(80))


async def test_each_call_has_a_connection_of_its_own() -> None:
    """Nothing of one tenant's call can reach the next one's."""
    kept = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nsmuggled"
    async with serving(kept) as server:
        way_out = egress()
        answers = [await way_out.send(call(server.port)) for _ in range(3)]

    assert [answer.body for answer in answers] == [b"ok", b"ok", b"ok"]
    assert server.connections == 3


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name again, and connect where it likes."""
    async with serving() as proxy, serving() as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await egress().send(call(server.port))

    assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize(
    "handler",
    [
        until_gone,
        after(b"HTTP/1.1 200"),
        after(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        after(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal"),
        after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"),
        after(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
    ],
    ids=["nothing", "half a line", "an interim answer", "half a body", "half a chunk", "no end"],
)
async def test_a_server_that_falls_silent_is_left(handler: Handler) -> None:
    """The limit is for the whole call, wherever the server stops."""
    async with serving(handler) as server:
        with pytest.raises(EgressFailed, match=r"did not answer within 0\.2 s"):
            await egress(time_limit_s=0.2).send(call(server.port))
        await server.left.wait()


async def test_a_silent_server_does_not_stop_tls_from_giving_up() -> None:
    """A handshake is part of the call."""
    async with serving(until_gone) as server:
        with pytest.raises(EgressFailed, match=r"within 0\.2 s"):
            await egress(time_limit_s=0.2).send(call(server.port, scheme="https"))
        await server.left.wait()


async def test_a_silent_name_server_is_left() -> None:
    """A name is part of the call."""
    way_out = Egress(EgressConfig(time_limit_s=0.05), SilentNames())

    with pytest.raises(EgressFailed, match=r"within 0\.05 s"):
        await way_out.send(call(80))


async def test_a_server_that_never_ends_is_cut_at_a_mebibyte() -> None:
    """What was read is kept; the server is left."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(endless) as server:
        answer = await egress().send(call(server.port))
        await server.left.wait()

    assert (answer.status, len(answer.body), answer.is_truncated) == (200, MIB, True)


@pytest.mark.parametrize(("size", "is_truncated"), [(MIB - 1, False), (MIB, False), (MIB + 1, True)])
async def test_a_body_is_cut_only_when_it_is_larger_than_a_mebibyte(size: int, is_truncated: bool) -> None:
    """The limit itself passes whole."""
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size) as server:
        answer = await egress().send(call(server.port))

    assert (len(answer.body), answer.is_truncated) == (min(size, MIB), is_truncated)


async def test_an_answer_that_comes_before_the_body_was_read_is_an_answer() -> None:
    """A server may refuse a large body from its head alone."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await until_gone(reader, writer)

    async with serving(refuse) as server:
        answer = await egress().send(call(server.port, body=b"x" * 262_144))

    assert answer.status == 413


async def test_a_compressed_answer_stays_compressed() -> None:
    """A few kilobytes that unpack to gigabytes are a few kilobytes."""
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8bbomb") as server:
        answer = await egress().send(call(server.port))

    assert answer.body == b"\x1f\x8bbomb"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_chunks_are_joined() -> None:
    """Extensions and trailers are dropped (RFC 9112, section 7.1)."""
    async with serving(CHUNKED + b"3;a=b\r\none\r\n3\r\ntwo\r\n0\r\nX-Trailer: x\r\n\r\n") as server:
        answer = await egress().send(call(server.port))

    assert answer.body == b"onetwo"


async def test_a_body_is_cut_also_where_a_chunk_ends_at_the_limit() -> None:
    """Whether there is more is known only after the next chunk."""
    async with serving(CHUNKED + b"100000\r\n" + b"x" * MIB + b"\r\n1\r\ny\r\n0\r\n\r\n") as server:
        answer = await egress().send(call(server.port))

    assert (answer.body, answer.is_truncated) == (b"x" * MIB, True)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\r\n\r\n",
        b"<html>HTTP/0.9</html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBroken\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 65_536 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\nx\r\n",
        CHUNKED + b"fffffffffffffffffffffff\r\nx",
        CHUNKED + b"3\r\nfoobar\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nfoo",
        CHUNKED + b"1;" + b"x" * 65_536 + b"\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"0\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        CHUNKED + b"1\r\nx\r\n" * 20_001 + b"0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_001 + OK,
    ],
    ids=lambda said: repr(said[:60]),
)
async def test_what_is_not_a_whole_http_answer_is_a_failure(said: bytes) -> None:
    """A server may say anything: the caller is told, and what it said is not repeated."""
    async with serving(said) as server:
        with pytest.raises(EgressFailed, match=r"^The answer|Connection reset"):
            await egress().send(call(server.port))


class Deaf(asyncio.Transport):
    """Takes whatever is written."""

    def write(self, data: object) -> None: ...

    def is_closing(self) -> bool:
        return True


async def test_many_small_chunks_leave_others_their_turn() -> None:
    """A server that sends as fast as it can holds the event loop for 8 KiB at a time."""
    reader, turns = asyncio.StreamReader(), 0
    reader.feed_data(CHUNKED + b"1\r\nx\r\n" * 15_000 + b"0\r\n\r\n")
    writer = asyncio.StreamWriter(Deaf(), asyncio.BaseProtocol(), reader, asyncio.get_running_loop())

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    answer = await exchange(checked(call(80)), reader, writer)
    counting.cancel()

    assert len(answer.body) == 15_000
    assert turns >= 15_000 * 6 // 8_192


async def test_the_system_resolver_finds_what_the_machine_knows() -> None:
    """Through its hosts file as well, and then the address is checked like any other."""
    names = SystemResolver()
    closed, open_ = EgressConfig(), EgressConfig(allowed_networks=parse_networks("127.0.0.0/8,::1/128"))

    async with serving() as server:
        with pytest.raises(AddressNotAllowed):
            await Egress(closed, names).send(call(server.port, host="localhost"))
        answer = await Egress(open_, names).send(call(server.port, host="localhost"))

    assert answer.status == 200


async def test_a_name_that_does_not_exist_is_a_failure() -> None:
    """It may exist tomorrow, and the answer of a name server is often wrong for a moment."""
    with pytest.raises(EgressFailed, match="Name or service not known") as failed:
        await Egress(EgressConfig(), UnknownNames()).send(call(80))

    assert failed.value.retryable
