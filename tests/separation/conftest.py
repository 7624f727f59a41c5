"""What proves the separation looks at vaults that the product has made, and not at copies of them.

Where many cases need an attacker each, the first one in each role is the product's and those after it are
copies (``test_every_operation.py``). That their rights are the same is held by ``test_vaulttemplates.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vaulttemplates import vaults_of_the_product


@pytest.fixture(scope="module", autouse=True)
def of_the_product() -> Iterator[None]:
    """Each organisation of these tests is made as an operator's."""
    with vaults_of_the_product():
        yield
