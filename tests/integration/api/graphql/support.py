"""Asks GraphQL, and reads what it answers."""

from typing import Any

import httpx2

from tests.integration.api.support import ApiUnderTest

PATH = "/api/graphql"


async def post(
    api: ApiUnderTest, document: str, headers: dict[str, str] | None = None, **variables: Any
) -> httpx2.Response:
    """Send *document* with *variables*."""
    return await api.client.post(PATH, json={"query": document, "variables": variables}, headers=headers)


async def data(api: ApiUnderTest, document: str, headers: dict[str, str] | None = None, **variables: Any) -> Any:
    """Return the data of an answer without errors."""
    answer = await post(api, document, headers, **variables)
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    return answer.json()["data"]


def fault(answer: httpx2.Response) -> dict[str, Any]:
    """Return the extensions of the only error of an answer."""
    [error] = answer.json()["errors"]
    extensions: dict[str, Any] = error["extensions"]
    return extensions
