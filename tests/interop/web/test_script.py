"""The pages' script: its types in JSDoc, checked by TypeScript."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from samdrift.web.assets import STATIC
from tests.interop.oidc.build import install
from tests.interop.tools import Unavailable, left_out

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    try:
        install(HERE)
    except Unavailable as reason:
        left_out("TypeScript", reason)


def check(*files: Path) -> tuple[int, str]:
    options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022", "--module", "esnext"]
    command = ["node", "node_modules/typescript/bin/tsc", *options, "--lib", "es2022,dom,dom.iterable"]
    ran = subprocess.run([*command, *map(str, files)], cwd=HERE, capture_output=True, text=True)
    return ran.returncode, ran.stdout


def test_types_of_every_module_hold() -> None:
    assert check(*sorted(STATIC.glob("*.js"))) == (0, "")


def test_a_wrong_type_is_found(tmp_path: Path) -> None:
    module = tmp_path / "wrong.js"
    module.write_text("/** @param {number} n */\nexport function f(n) {\n  return n.length;\n}\n")
    status, said = check(module)
    assert (status != 0, "Property 'length' does not exist" in said) == (True, True)
