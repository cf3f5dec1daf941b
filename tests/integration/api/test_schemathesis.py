"""Schemathesis: every operation of the OpenAPI document, on a real server, is what the document says it is."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.integration.api.possessions import Owner
from tests.integration.api.processes import ROOT, api_process
from tests.integration.api.refresh_openapi import document
from tests.integration.api.support import ApiUnderTest, bearer

OPERATIONS = sum(len(methods) for methods in document()["paths"].values())
FOLDER = Path(__file__).parent / "schemathesis"
SEED = 20261127
EFFORTS = (
    pytest.param(["--phases=examples,fuzzing", "--max-examples=3"], id="some"),
    pytest.param(["--max-examples=40"], marks=[pytest.mark.deep, pytest.mark.timeout(3600)], id="many"),
)
"""Deep: also the values at the edges of each schema, and chains of requests that follow from one another."""


@pytest.mark.parametrize("effort", EFFORTS)
async def test_the_api_is_what_its_document_says(api: ApiUnderTest, effort: list[str], tmp_path: Path) -> None:
    """All checks of schemathesis: no 5xx; no status, type, header or body that is not documented; what does not fit the
    document is refused, what fits it is accepted.
    """
    token = await api.new_key()
    things = await Owner(api, api.tenant_id, bearer(token)).possess()
    with api_process(api.database) as port:
        url = f"http://127.0.0.1:{port}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml"), "run"),
            *(f"{url}/api/openapi.json", "--header", f"Authorization: Bearer {token}"),
            *("--checks=all", f"--seed={SEED}", "--continue-on-failure", "--no-color", *effort),
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SCHEMATHESIS_HOOKS": "tests.integration.api.schemathesis.hooks",
                "RUSTOK_URL": url,
                "RUSTOK_TOKEN": token,
                "RUSTOK_NAMES": json.dumps(dict(things.names)),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()

    assert process.returncode == 0, told.decode()
    assert f"Tested: {OPERATIONS}\n" in told.decode()
