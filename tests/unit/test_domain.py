"""A domain has one form, that in which a request's Host has it."""

import pytest
from pydantic import TypeAdapter, ValidationError

from rustok.kernel.domain import Domain

DOMAIN: TypeAdapter[str] = TypeAdapter(Domain)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("shop.example.com", "shop.example.com"),
        ("Shop.EXAMPLE.com", "shop.example.com"),
        ("shop.example.com.", "shop.example.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("магазин.рф", "xn--80aairftm.xn--p1ai"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_domain_is_kept_as_hosts_are_sent(given: str, kept: str) -> None:
    """Lower case and IDNA, whoever typed it how."""
    assert DOMAIN.validate_python(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        "localhost",
        "127.0.0.1",
        "0x7f.1",
        "[::1]",
        "shop.example.com:8000",
        "https://shop.example.com",
        "shop.example.com/path",
        "shop..example.com",
        ".example.com",
        "*.example.com",
        "a_b.example.com",
        "-a.example.com",
        "a b.example.com",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "xn--a.example",
        "shop.example.com\x00",
        "a\u202eb.example.com",
    ],
)
def test_what_is_no_domain_is_refused(given: str) -> None:
    """Nothing that no Host would ever equal is kept."""
    with pytest.raises(ValidationError):
        DOMAIN.validate_python(given)
