"""Tests of the separation run on vaults that the product made, not on copies of a template.

Where many cases need an attacker each, the product makes the first one in each role, and the others are
copies (``test_every_operation.py``). ``test_vaulttemplates.py`` checks that copies have the same rights.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vaulttemplates import vaults_of_the_product


@pytest.fixture(scope="module", autouse=True)
def of_the_product() -> Iterator[None]:
    """Make every organisation of these tests as an operator's installation would."""
    with vaults_of_the_product():
        yield
