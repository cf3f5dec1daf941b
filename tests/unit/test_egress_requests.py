"""What may be asked for: URLs that every parser reads alike, hosts of the allow-list, headers that stay headers."""

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustok.egress import (
    AllowedHost,
    Egress,
    EgressConfig,
    EgressFailed,
    EgressRefused,
    HeaderNotAllowed,
    HostNotAllowed,
    IPAddress,
    OutgoingRequest,
    RequestTooLarge,
    UrlNotAllowed,
)
from rustok.egress.request import WireRequest, checked

ALLOWED = ("api.example.com", "*.example.org", "http://plain.example.com", "api.example.com:8443")
LITERALS = ("127.0.0.1", "169.254.169.254", "[::1]", "[fd00:ec2::254]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]")


class Nowhere:
    """A resolver that knows no name."""

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        raise OSError(f"{host} is not known")

    def close(self) -> None: ...


EGRESS = Egress(EgressConfig(), Nowhere())


def outgoing(
    url: str = "https://api.example.com/",
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    allowed_hosts: Sequence[str] = ALLOWED,
) -> OutgoingRequest:
    return OutgoingRequest(method=method, url=url, headers=headers or {}, body=body, allowed_hosts=allowed_hosts)


def refusal(request: OutgoingRequest) -> str:
    """Return the code that the whole of `Egress` refuses *request* with, without asking any name server."""
    with pytest.raises(EgressRefused) as refused:
        asyncio.run(EGRESS.send(request))
    assert not refused.value.retryable
    return refused.value.code


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "//api.example.com/",
        "/path",
        "https:",
        "https:/api.example.com/",
        "https:///api.example.com/",
        "https:api.example.com/",
        "ftp://api.example.com/",
        "file:///etc/passwd",
        "gopher://api.example.com:11211/_stats",
        "dict://api.example.com/",
        "javascript:alert(1)",
        "data:text/plain,hello",
        "jar:https://api.example.com!/",
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
        "httpſ://api.example.com/",
        " https://api.example.com/",
        "https://api.example.com/ ",
        "https://api.example.com/\n",
        "https://api.example.com/\r\nHost: evil.test",
        "https://api.example.com/ HTTP/1.1\r\nX: y",
        "https://api.example.com/a b",
        "https://api.example.com/\x00",
        "https://api.example.com\t/",
        "https://api.example.com\n.evil.test/",
        "https://api.example.com/\x7f",
        "https://api.example.com/é",
        "https://api.example.com/#fragment",
        "https://api.example.com#@evil.test/",
        "https://evil.test#@api.example.com/",
        "https://user@api.example.com/",
        "https://user:secret@api.example.com/",
        "https://:@api.example.com/",
        "https://@api.example.com/",
        "https://evil.test@api.example.com/",
        "https://api.example.com@evil.test/",
        "https://api.example.com:443@evil.test/",
        "https://api.example.com\\@evil.test/",
        "https://api.example.com\\.evil.test/",
        "https:\\\\api.example.com/",
        "https://api.example.com/\\..\\",
        "https://api.example.com:/",
        "https://api.example.com:0/",
        "https://api.example.com:00443/",
        "https://api.example.com:65536/",
        "https://api.example.com:99999999/",
        "https://api.example.com:-1/",
        "https://api.example.com:4 3/",
        "https://api.example.com:٤٤٣/",
        "https://api.example.com:443:80/",
        "https://api.example.com./",
        "https://.api.example.com/",
        "https://api..example.com/",
        "https://-api.example.com/",
        "https://api-.example.com/",
        "https://api_x.example.com/",
        "https://*.example.org/",
        "https://api.example.com%00.evil.test/",
        "https://api%2eexample.com/",
        "https://api。example.com/",
        "https://ａｐｉ.example.com/",
        "https://bücher.example.org/",
        "https://api.example.com,evil.test/",
        "https://" + "a" * 64 + ".example.org/",
        "https://" + "a." * 130 + "example.org/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0X7F.0.0.1/",
        "http://0x/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.0x1/",
        "http://127.0.0.256/",
        "http://127.0.0.1.5/",
        "http://api.example.0/",
        "http://①②⑦.0.0.1/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::0001]/",
        "http://[::127.0.0.1]/",
        "http://[127.0.0.1]/",
        "http://[v1.fe80]/",
        "http://[]/",
    ],
)
def test_a_url_that_parsers_read_in_two_ways_is_refused(url: str) -> None:
    """Whatever is not plainly scheme, host, port, path and query has no reading at all."""
    assert refusal(outgoing(url)) == "url_not_allowed"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/",
        "https://example.com/",
        "https://xapi.example.com/",
        "https://api.example.com.evil.test/",
        "https://api-example.com/",
        "https://example.org/",
        "https://badexample.org/",
        "https://api.example.org.evil.test/",
        "http://api.example.com/",
        "http://api.example.com:443/",
        "https://api.example.com:80/",
        "https://api.example.com:8080/",
        "https://api.example.com:22/",
        "https://plain.example.com/",
        "https://plain.example.com:80/",
        "http://plain.example.com:8080/",
        "http://x.example.org/",
        "https://x.example.org:8443/",
        "http://localhost/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "https://evil.test/api.example.com",
        "https://evil.test/?https://api.example.com/",
    ],
)
def test_a_host_that_the_allow_list_does_not_hold_is_refused(url: str) -> None:
    """Scheme, host and port all have to fit one entry."""
    assert refusal(outgoing(url)) == "host_not_allowed"


@pytest.mark.parametrize("literal", LITERALS)
def test_an_address_in_the_allow_list_is_checked_like_any_other(literal: str) -> None:
    """Who writes an allow-list does not open the operator's network."""
    request = outgoing(f"http://{literal}/", allowed_hosts=[f"http://{literal}"])

    assert refusal(request) == "address_not_allowed"


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://api.example.com", "api.example.com", 443, "/"),
        ("HTTPS://API.Example.Com:443/a", "api.example.com", 443, "/a"),
        ("https://api.example.com:8443?q=1", "api.example.com", 8443, "/?q=1"),
        ("https://a.b.example.org/../y;p=1?f[a]=%20&u=//x/@", "a.b.example.org", 443, "/../y;p=1?f[a]=%20&u=//x/@"),
        ("http://plain.example.com/~a/%2F", "plain.example.com", 80, "/~a/%2F"),
        ("https://xn--bcher-kva.example.org/", "xn--bcher-kva.example.org", 443, "/"),
    ],
)
def test_a_plain_url_of_the_allow_list_is_sent_as_it_is(url: str, host: str, port: int, target: str) -> None:
    """Nothing is normalised but the case of scheme and host."""
    wire = checked(outgoing(url))

    assert (wire.origin.host, wire.origin.port, wire.target) == (host, port, target)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.com",
        "*.*.com",
        "a.*.com",
        "**.example.com",
        "*example.com",
        "*.10.0.0.1",
        "*.[::1]",
        "https://example.com",
        "ftp://example.com",
        "example.com/",
        "example.com/path",
        "example.com:",
        "example.com:0",
        "example.com:*",
        "example.com:65536",
        "user@example.com",
        "exa mple.com",
        "example.com\n",
        "blac\u212a.example.com",
        "0x7f.1",
        "2130706433",
        "127.1",
        "[::0001]",
        "[fe80::1%eth0]",
    ],
)
def test_an_entry_of_another_form_refuses_the_call(entry: str) -> None:
    """An entry that matched nothing in silence would be taken for a rule."""
    with pytest.raises(HostNotAllowed, match="Allow-list"):
        AllowedHost.parse(entry)
    with pytest.raises(HostNotAllowed, match="Allow-list"):
        checked(outgoing(allowed_hosts=["api.example.com", entry]))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.test"},
        {"host": "evil.test"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "keep-alive"},
        {"Keep-Alive": "timeout=5"},
        {"TE": "trailers"},
        {"Trailer": "X-A"},
        {"Upgrade": "websocket"},
        {"HTTP2-Settings": "AAMAAABkAAQAAP__"},
        {"Expect": "100-continue"},
        {"Proxy-Authorization": "Basic eA=="},
        {"Proxy-Connection": "keep-alive"},
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "a\nX-B: b"},
        {"X-A": "a\rb"},
        {"X-A": "a\r\n\r\nGET /admin HTTP/1.1"},
        {"X-A": "a\x00b"},
        {"X-A": "a\x0bb"},
        {"X-A": "a\x7fb"},
        {"X-A": "a\u560d\u560ab"},
        {"X-A": "a\x85b"},
        {"X-A": "a\u2028b"},
        {"X-A": "é"},
        {"X-A": " a"},
        {"X-A": "a "},
        {"X-A": "\t"},
        {"X-A\r\nX-B": "b"},
        {"X-A: b\r\nX-C": "c"},
        {"X-A:": "b"},
        {"X A": "b"},
        {" X-A": "b"},
        {"X-A\n": "b"},
        {"X-\u212aind": "b"},
        {"": "b"},
        {":authority": "evil.test"},
        {"X-A": "1", "x-a": "2"},
    ],
)
def test_a_header_that_frames_the_request_or_could_end_early_is_refused(headers: Mapping[str, str]) -> None:
    """Framing is ours alone: one request goes out, whatever its headers say."""
    assert refusal(outgoing(headers=headers)) == "header_not_allowed"


def test_headers_are_sent_with_ours_around_them() -> None:
    """The caller's replace the defaults, never the framing."""
    wire = checked(outgoing(headers={"X-Mark": "a b", "Accept": "text/plain", "X-Empty": ""}, body=b"four"))

    assert wire.headers == [
        ("host", "api.example.com"),
        ("connection", "close"),
        ("content-length", "4"),
        ("user-agent", "rustok"),
        ("accept", "text/plain"),
        ("accept-encoding", "identity"),
        ("x-mark", "a b"),
        ("x-empty", ""),
    ]


@pytest.mark.parametrize("method", ["", "get", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PRI", "GET /\r\n", "GET "])
def test_another_method_is_refused(method: str) -> None:
    """GET, POST, PUT, PATCH and DELETE are what a hook needs."""
    assert refusal(outgoing(method=method)) == "url_not_allowed"


@pytest.mark.parametrize(
    "request_too_large",
    [
        outgoing(body=b"x" * 262_145),
        outgoing("https://api.example.com/" + "x" * 8_192),
        outgoing(headers={"X-A": "x" * 16_384}),
        outgoing(headers={f"X-{n}": "x" for n in range(2_000)}),
    ],
    ids=["body", "url", "header", "headers"],
)
def test_a_request_over_a_limit_is_refused(request_too_large: OutgoingRequest) -> None:
    """Body 256 KiB, URL 8 KiB, headers 16 KiB."""
    assert refusal(request_too_large) == "request_too_large"


def test_a_request_at_the_limits_is_sent() -> None:
    """A limit is the largest value that passes."""
    url = "https://api.example.com/".ljust(8_192, "x")

    wire = checked(outgoing(url, headers={"X-A": "x" * 16_377}, body=b"x" * 262_144))

    assert isinstance(wire, WireRequest)


PIECES = st.sampled_from(
    [
        *("http", "https", "HTTPS", "ftp", ":", "/", "//", "://", "\\", "@", "?", "#", "%", "%00", "%2e", "\r\n"),
        *("\t", "\x00", " ", ".", "..", "*", "api.example.com", "x.example.org", "evil.test", "localhost", "0x7f.1"),
        *("127.0.0.1", "2130706433", "[", "]", "::1", ":443", ":80", ":0", "user:pw", "ſ", "。", "\ud800", "é"),
    ]
)
URLS = st.one_of(
    st.text(),
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(PIECES, max_size=6).map(lambda pieces: "https://api.example.com" + "".join(pieces)),
    st.tuples(st.sampled_from(["http", "https"]), st.text(max_size=20), st.text(max_size=20)).map(
        lambda parts: f"{parts[0]}://{parts[1]}.example.org/{parts[2]}"
    ),
)
ENTRIES = st.lists(
    st.one_of(st.sampled_from([*ALLOWED, *LITERALS, "http://localhost", "http://127.0.0.1"])), max_size=4
)


@given(url=URLS, method=st.sampled_from(["GET", "POST", "", "\n"]), entries=ENTRIES)
def test_any_url_ends_in_one_of_the_two_coded_errors(url: str, method: str, entries: list[str]) -> None:
    """A tenant's text never reaches a worker as another exception, and nothing is ever connected to."""
    request = outgoing(url, method=method, allowed_hosts=entries)

    async def send() -> str:
        try:
            await EGRESS.send(request)
        except (EgressRefused, EgressFailed) as error:
            return error.code
        return "answered"

    assert asyncio.run(send()) in {
        "url_not_allowed",
        "host_not_allowed",
        "address_not_allowed",
        "call_failed",
    }


@given(headers=st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=4), entry=st.text(max_size=20))
def test_any_header_and_any_entry_is_refused_or_sent(headers: dict[str, str], entry: str) -> None:
    """Only refusals come out of the checks."""
    for request in (outgoing(headers=headers), outgoing(allowed_hosts=[entry])):
        try:
            wire = checked(request)
        except (HeaderNotAllowed, HostNotAllowed):
            continue
        assert all("\n" not in f"{name}{value}" for name, value in wire.headers)


@given(url=URLS)
def test_other_parsers_see_the_same_host(url: str) -> None:
    """What the allow-list has admitted is what urllib and httpx2 would have connected to."""
    try:
        origin = checked(outgoing(url)).origin
    except (UrlNotAllowed, HostNotAllowed, RequestTooLarge):
        return

    assert urlsplit(url).hostname == origin.host
    assert httpx2.URL(url).host == origin.host
