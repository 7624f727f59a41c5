"""One stage for the tests of all proxies, because starting it takes longer than any of them."""

from tests.roles.conftest import stage  # noqa: F401 - used as a fixture
