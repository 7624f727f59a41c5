"""The console's table: named people with a secret, a host that no organisation uses, and TLS."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from samdrift.config.model import Environment, SocketAddress
from samdrift.config.organisations import DEMONSTRATION_LEVEL
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from tests.unit.config.test_reader import GOOD, write

CONSOLE = (
    GOOD
    + """
[console]
listen = "192.0.2.20:8450"
host = "console.example.se"
name = "Driftbolaget"

[console.sign_in]
issuer = "https://login.example.se"
client_id = "console"
secret_file = "console.secret"
levels = ["mfa"]

[[console.staff]]
subject = "5f1c9a"
name = "jl"

[[console.staff]]
subject = "77aa01"
name = "anna"
"""
)


def test_the_console_is_read(tmp_path: Path) -> None:
    own = load(write(tmp_path, CONSOLE)).console
    assert own is not None
    assert (own.listen, own.origin) == (
        SocketAddress("192.0.2.20", 8450),
        "https://console.example.se:8450",
    )
    assert {one.subject: one.name for one in own.staff} == {"5f1c9a": "jl", "77aa01": "anna"}
    assert own.sign_in is not None
    assert own.sign_in.secret_file == tmp_path / "console.secret"
    behind = load(write(tmp_path, CONSOLE.replace("[console]", "[console]\nport = 443"))).console
    assert behind is not None
    assert behind.origin == "https://console.example.se"


@pytest.mark.parametrize(
    ("text", "other", "where"),
    [
        ('secret_file = "console.secret"\n', "", "console.sign_in.secret_file"),
        ('levels = ["mfa"]', "levels = []", "console.sign_in.levels"),
        ('levels = ["mfa"]', f'levels = ["{DEMONSTRATION_LEVEL}"]', "console.sign_in.levels"),
        ("https://login.example.se", "http://login.example.se", "console.sign_in.issuer"),
        ("77aa01", "5f1c9a", "console.staff"),
        ('name = "anna"', 'name = "jl"', "console.staff"),
        ('host = "console.example.se"', 'host = "console.example.se"\nplain = true', "console.plain"),
    ],
)
def test_a_console_that_is_not_safe_is_refused(tmp_path: Path, text: str, other: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where.replace(".", r"\.")):
        load(write(tmp_path, CONSOLE.replace(text, other)))


SIGN_IN = CONSOLE[CONSOLE.index("[console.sign_in]") : CONSOLE.index("[[console.staff]]")]
BY_CERTIFICATE = CONSOLE.replace(
    SIGN_IN,
    f"""
[console.certificates]
issuers = "staff.pem"
revocation_lists = "staff.crl"
revoked = ["{":".join(["AB"] * 32)}"]

""",
)
DIGEST = "cd" * 32
BY_CERTIFICATE = BY_CERTIFICATE.replace("5f1c9a", DIGEST).replace("77aa01", "CN=Anna,O=Drift")


def test_sign_in_by_certificate_is_read_in_place_of_a_sign_in_service(tmp_path: Path) -> None:
    own = load(write(tmp_path, BY_CERTIFICATE)).console
    assert own is not None
    assert own.sign_in is None
    assert own.certificates is not None
    assert own.certificates.issuers == tmp_path / "staff.pem"
    assert own.certificates.revoked == ("ab" * 32,)


@pytest.mark.parametrize(
    ("text", "other", "where"),
    [
        ("[console.certificates]", f"{SIGN_IN}\n[console.certificates]", "console.sign_in"),
        ("ab" * 32, "ab" * 31, "console.certificates.revoked"),
        ('host = "console.example.se"', 'host = "console.example.se"\nplain = true', "console.plain"),
        (DIGEST, "5f1c9a", "console.staff[0].subject"),
        (DIGEST, "CN=Anna, O=Drift", "console.staff"),
    ],
)
def test_sign_in_by_certificate_that_is_not_safe_is_refused(
    tmp_path: Path, text: str, other: str, where: str
) -> None:
    wrong = BY_CERTIFICATE.replace(":".join(["AB"] * 32), "ab" * 32).replace(text, other)
    with pytest.raises(ConfigError, match=re.escape(where)):
        load(write(tmp_path, wrong))


def test_a_console_at_which_nobody_can_sign_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"console\.sign_in: or certificates"):
        load(write(tmp_path, CONSOLE.replace(SIGN_IN, "\n")))


def test_a_console_without_staff_is_refused(tmp_path: Path) -> None:
    nobody = CONSOLE.partition("[[console.staff]]")[0].replace("[console]", "[console]\nstaff = []")
    with pytest.raises(ConfigError, match=r"console\.staff"):
        load(write(tmp_path, nobody))


def test_an_organisations_host_is_not_the_consoles(tmp_path: Path) -> None:
    """Cookies belong to a host, whatever the port."""
    pages = """
[message_client]
listen = "127.0.0.1:8446"
"""
    text = CONSOLE.replace('roles = ["ap", "mt"]', 'roles = ["ap", "mt", "mk"]\nmessage_client_host = "HOST"')
    text = text.replace("[malware]", f"{pages}\n[malware]")
    with pytest.raises(ConfigError, match="message_client_host: is the host of another"):
        load(write(tmp_path, text.replace("HOST", "console.example.se")))


def test_the_demonstrations_console_may_be_plain(tmp_path: Path) -> None:
    text = CONSOLE.replace('environment = "test"', 'environment = "demonstration"')
    text = text.replace('host = "console.example.se"', 'host = "console.example.se"\nplain = true')
    config = load(write(tmp_path, text))
    assert config.environment is Environment.DEMONSTRATION
    assert config.console is not None
    assert config.console.origin == "http://console.example.se:8450"
