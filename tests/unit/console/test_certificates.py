"""Sign-in to the console by client certificate: real TLS, at the console's own listener."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.config.console import ConsoleCertificatesConfig, ConsoleConfig, StaffConfig
from samdrift.config.model import Config, SocketAddress
from samdrift.config.toml import ConfigError
from samdrift.console.service import console_served
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.net.server import listening_socket
from samdrift.web.cookies import SESSION
from samdrift.web.signin.faults import Fault
from samdrift.wire.crypto.certificates import fingerprint
from tests import pki
from tests.unit.console import test_service
from tests.unit.console.test_service import HOST
from tests.vaults import Installation

config = test_service.config
STAFF, STRANGERS = pki.root("Driftens utfärdare", 21), pki.root("En annan utfärdare", 22)
ANNA = STAFF.issue(pki.name("Anna Andersson"), private_key=pki.key(23))
JILL = STAFF.issue(pki.name("Jill Lind"), private_key=pki.key(24))
UNNAMED = STAFF.issue(pki.name("Olle Ohm"), private_key=pki.key(25))
FOREIGN = STRANGERS.issue(pki.name("Anna Andersson"), private_key=pki.key(26))


@dataclass
class Served:
    """The console with certificates, as its staff's browsers reach it."""

    port: int
    folder: Path
    installation: Installation
    begun_at: int
    """Number of the last entry of the operator's log before the test."""
    files: int = field(default=0)

    @asynccontextmanager
    async def browser(
        self, shown: pki.Certified | None, cookie: str = ""
    ) -> AsyncIterator[httpx.AsyncClient]:
        """Open a browser, with or without a certificate, that trusts whatever the console presents."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if shown is not None:
            self.files += 1
            file = self.folder / f"browser-{self.files}.pem"
            key = shown.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            file.write_bytes(key + shown.certificate.public_bytes(Encoding.PEM))
            context.load_cert_chain(file)
        origin = f"https://127.0.0.1:{self.port}"
        headers = {"host": f"{HOST}:{self.port}", "accept-language": "sv"}
        async with httpx.AsyncClient(verify=context, base_url=origin, headers=headers) as client:
            if cookie:
                client.headers["cookie"] = f"{SESSION}={cookie}"
            yield client

    async def sign_in(
        self, browser: httpx.AsyncClient, headers: dict[str, str] | None = None
    ) -> tuple[httpx.Response, str]:
        """Follow the button of the sign-in page; return the final answer, and the session's cookie."""
        browser.cookies.clear()
        begun = await browser.get("/sign-in/start?back=/queues", headers=headers)
        assert begun.status_code == 303
        way = begun.headers["location"].partition(f"{HOST}:{self.port}")[2]
        waiting = begun.headers["set-cookie"].partition(";")[0]
        answer = await browser.get(way, headers={**(headers or {}), "cookie": waiting})
        cookies = [each.partition(";")[0] for each in answer.headers.get_list("set-cookie")]
        value = next((each.partition("=")[2] for each in cookies if each.startswith(f"{SESSION}=")), "")
        return answer, value

    def revocation(self, *, lasts: timedelta = pki.DAY, by: pki.Authority = STAFF) -> None:
        """Publish a current revocation list of the issuer."""
        (self.folder / "staff.crl").write_bytes(
            by.crl(at=datetime.now(UTC) - timedelta(hours=1), lasts=lasts, revoked_at=datetime.now(UTC))
        )

    async def told(self) -> list[tuple[str, dict[str, str]]]:
        """Return the entries of the operator's log about sign-ins to this console."""
        entries = await self.installation.gate.read_operator_log(self.begun_at, 1000)
        found = [(str(each.event), dict(each.ids)) for each in entries]
        return [each for each in found if each[0].startswith("org:console:")]


def with_certificates(config: Config, folder: Path, **changed: object) -> Config:
    """Return a configuration whose staff are Anna, by her certificate's digest, and Jill, by its subject."""
    (folder / "staff.pem").write_bytes(STAFF.certificate.public_bytes(Encoding.PEM))
    settings = ConsoleCertificatesConfig(folder / "staff.pem", folder / "staff.crl")
    staff = (
        StaffConfig(fingerprint(ANNA.certificate).upper(), "anna-ap"),
        StaffConfig(JILL.certificate.subject.rfc4514_string(), "jl"),
    )
    with listening_socket("127.0.0.1") as free:
        address = SocketAddress("127.0.0.1", free.getsockname()[1])
    own = ConsoleConfig(
        address,
        HOST,
        "Driftbolaget",
        staff,
        certificates=replace(settings, **changed),  # type: ignore[arg-type]
    )
    return replace(config, console=own)


@pytest_asyncio.fixture
async def served(config: Config, tmp_path: Path, installation: Installation) -> AsyncIterator[Served]:
    STAFF.revoked.clear()
    used = with_certificates(config, tmp_path)
    assert used.console is not None
    before = (await installation.gate.read_operator_log(0, 100_000))[-1].sequence
    found = Served(used.console.listen.port, tmp_path, installation, before)
    found.revocation()
    certified(installation)
    async with console_served(used):
        yield found


def certified(installation: Installation) -> None:
    """Give the installation a TLS server certificate for the console's host."""
    issuer, keys = pki.root("CA", 3), installation.gate._keys
    request = keys.create_key(OPERATOR_KEYS, KeyName.TLS_SERVER, pki.name(HOST), 2048)
    public = x509.load_pem_x509_csr(request).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    keys.install_certificate(OPERATOR_KEYS, KeyName.TLS_SERVER, issuer.certify(HOST, public))


@pytest.mark.parametrize(
    ("shown", "name"), [(ANNA, "anna-ap"), (JILL, "jl")], ids=["by digest", "by subject"]
)
async def test_a_certificate_of_the_staffs_signs_in_and_is_logged_as_any_sign_in(
    served: Served, shown: pki.Certified, name: str
) -> None:
    async with served.browser(shown) as browser:
        page = (await browser.get("/sign-in")).text
        assert "certifikatet på ditt kort" in page
        assert "Inget innehåll i meddelanden." in page
        assert "Säkra meddelanden" not in page
        assert "/accessibility" not in page, "the page must not link to a page that does not exist"
        answer, cookie = await served.sign_in(browser)
        assert (answer.status_code, answer.headers["location"]) == (303, "/queues")
    async with served.browser(shown, cookie) as browser:
        assert (await browser.get("/certificates")).status_code == 200
    ((event, facts),) = await served.told()
    assert (event, facts["by"], facts["proof"]) == ("org:console:signed-in", name, "session")
    assert facts["proof_level"] == "certificate"
    assert facts.get("proof_certificate") == fingerprint(shown.certificate)
    assert facts["proof_issuer"] == STAFF.certificate.subject.rfc4514_string()


async def test_a_session_holds_on_connections_with_its_own_certificate_alone(served: Served) -> None:
    async with served.browser(ANNA) as browser:
        _, cookie = await served.sign_in(browser)
    for shown in (None, JILL):
        async with served.browser(shown, cookie) as browser:
            for path in ("/", "/certificates", "/session/now"):
                answer = await browser.get(path)
                assert answer.status_code == 401, path
                assert "Anna" not in answer.text


async def test_a_certificate_that_is_revoked_meanwhile_ends_the_session_and_signs_nobody_in(
    served: Served,
) -> None:
    async with served.browser(ANNA) as browser:
        _, cookie = await served.sign_in(browser)
    async with served.browser(ANNA, cookie) as browser:
        assert (await browser.get("/")).status_code == 200
        STAFF.revoke(ANNA.certificate)
        served.revocation()
        assert (await browser.get("/")).status_code == 401
    async with served.browser(ANNA) as browser:
        answer, cookie = await served.sign_in(browser)
        assert (answer.status_code, cookie) == (403, "")
        assert "Ditt certifikat är spärrat" in answer.text
    async with served.browser(JILL) as browser:
        assert (await served.sign_in(browser))[0].status_code == 303
    assert [each for each in await served.told() if each[0].endswith("refused")] == [
        ("org:console:refused", {"reason": Fault.REVOKED.value})
    ]


async def test_without_a_list_in_force_nobody_signs_in_and_the_page_says_why(served: Served) -> None:
    served.revocation(lasts=timedelta(minutes=30))
    async with served.browser(ANNA) as browser:
        answer, cookie = await served.sign_in(browser)
        assert (answer.status_code, cookie) == (403, "")
        assert "spärrlista här gäller inte" in answer.text
        # A list of another issuer changes nothing; the right one is used without a restart.
        served.revocation(by=STRANGERS)
        assert (await served.sign_in(browser))[0].status_code == 403
        served.revocation()
        assert (await served.sign_in(browser))[0].status_code == 303


async def test_a_certificate_that_is_not_named_or_not_shown_is_told_what_to_do(served: Served) -> None:
    async with served.browser(UNNAMED) as browser:
        answer, cookie = await served.sign_in(browser)
        assert (answer.status_code, cookie) == (403, "")
        assert fingerprint(UNNAMED.certificate) in answer.text
        assert "CN=Olle Ohm" in answer.text
    async with served.browser(None) as browser:
        answer, cookie = await served.sign_in(browser)
        assert (answer.status_code, cookie) == (403, "")
        assert "visade inget certifikat" in answer.text
    reasons = [each[1]["reason"] for each in await served.told()]
    assert reasons == [Fault.PERSON.value, Fault.NO_CERTIFICATE.value]


async def test_a_certificate_of_another_issuer_ends_the_handshake(served: Served) -> None:
    """Its subject is that of one of the staff, but that does not help."""
    async with served.browser(FOREIGN) as browser:
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            await browser.get("/sign-in")
    assert await served.told() == []


async def test_a_certificate_in_a_field_of_a_request_is_believed_of_nobody(served: Served) -> None:
    """A proxy that ends TLS in front of the console cannot hand certificates on, and neither can a liar."""
    pem = ANNA.certificate.public_bytes(Encoding.PEM).decode().replace("\n", " ").strip()
    names = (
        "x-ssl-client-cert",
        "x-client-cert",
        "x-forwarded-client-cert",
        "client-cert",
        "ssl-client-cert",
    )
    async with served.browser(None) as browser:
        answer, cookie = await served.sign_in(browser, dict.fromkeys(names, pem))
        assert (answer.status_code, cookie) == (403, "")


async def test_a_sign_in_of_another_browser_is_not_completed(served: Served) -> None:
    """A link signs no one in, although the browser would present its certificate."""
    async with served.browser(ANNA) as browser:
        begun = await browser.get("/sign-in/start")
        way = begun.headers["location"].partition(f"{HOST}:{served.port}")[2]
        assert (await browser.get(way, headers={"cookie": ""})).status_code == 403


async def test_a_certificate_on_the_list_of_the_configuration_signs_nobody_in(
    config: Config, tmp_path: Path, installation: Installation
) -> None:
    STAFF.revoked.clear()
    certified(installation)
    revoked = (fingerprint(ANNA.certificate),)
    used = with_certificates(config, tmp_path, revocation_lists=None, revoked=revoked)
    assert used.console is not None
    before = (await installation.gate.read_operator_log(0, 100_000))[-1].sequence
    async with console_served(used):
        found = Served(used.console.listen.port, tmp_path, installation, before)
        for shown, status in ((ANNA, 403), (JILL, 303)):
            async with found.browser(shown) as browser:
                assert (await found.sign_in(browser))[0].status_code == status


async def test_lists_that_cannot_be_used_are_named_at_the_start(config: Config, tmp_path: Path) -> None:
    used = with_certificates(config, tmp_path)
    for content in (None, b"not a list", STRANGERS.crl()):
        if content is not None:
            (tmp_path / "staff.crl").write_bytes(content)
        with pytest.raises(ConfigError, match=r"console\.certificates: "):
            async with console_served(used):
                pass
