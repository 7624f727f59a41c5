"""The service of the console: listener, sign-in, and the watch over the access point."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

from cryptography import x509

from samdrift.audit.operations import summarised, unexpected
from samdrift.config.console import ConsoleCertificatesConfig, ConsoleConfig, certificate_subject
from samdrift.config.errors import Unusable
from samdrift.config.inputs import reason
from samdrift.config.model import Config
from samdrift.config.toml import ConfigError
from samdrift.console.events import ConsoleEvent
from samdrift.console.opened import Open, Opened
from samdrift.console.role import OperatorConsole
from samdrift.console.staff import StaffSessions
from samdrift.console.watching import Watch, reached
from samdrift.contracts.errors import Explained
from samdrift.contracts.phrases import Phrase
from samdrift.contracts.principals import Proof
from samdrift.entrance.signedin import LimitedEntries
from samdrift.installation.health import Health
from samdrift.installation.replaceable import server_identities
from samdrift.installation.reports import processes_of
from samdrift.installation.signin import oidc_service, session_limits, sign_in_client
from samdrift.installation.vaultsettings import key_store
from samdrift.net.background import in_background
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import server_tls
from samdrift.web.sessions import SessionLimits, Sessions
from samdrift.web.signin.certificate import CertificateService, CertificateSettings, ClientCertificates
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.service import Place, SignInService
from samdrift.web.sites import Site, Welcome
from samdrift.wire.crypto.certificates import fingerprint

_LOGGER = logging.getLogger("samdrift")
_WELCOME = Welcome(
    Phrase(
        "How the operation is doing: queues, certificates, incidents and planned outages. "
        "No content of messages."
    ),
    Phrase(
        "Your session had ended, since nothing happened for a while or you signed out in another window. "
        "You come back to the page where you were."
    ),
    accessibility="",
)


@contextlib.asynccontextmanager
async def console_served(config: Config) -> AsyncIterator[OperatorConsole]:
    """Serve the console while the context lasts; raise :class:`Unusable` if it is not configured."""
    own = config.console
    if own is None:
        raise Unusable("the configuration has no table [console]: see docs/console.md")
    async with AsyncExitStack() as stack:
        keys = await asyncio.to_thread(key_store, config)
        opened = await stack.enter_async_context(Opened(config, keys))
        client = await stack.enter_async_context(http_client(public_only=False))
        ask = processes_of(config, client)
        watch = Watch(reached(config, ask), opened, system_clock)
        certificates = None if own.certificates is None else StaffCertificates(own, own.certificates)
        site, staff = await _site(stack, config, own, opened, certificates)
        console = OperatorConsole(config, site, staff, ask, opened, watch, system_clock)
        if config.access_point is not None:
            await stack.enter_async_context(
                in_background(watch.keep(), on_failure=unexpected("the console's watch"))
            )
        sock = listening_socket(own.listen.host, own.listen.port)
        issuers = own.certificates.issuers if own.certificates else None
        identities = server_identities(keys)
        tls = None if own.plain else server_tls(identities, issuers, demanded=False).serving
        await stack.enter_async_context(
            serving(
                console.application(unexpected("the console")),
                sock,
                tls=tls,
                per_address=config.connections_per_address,
                on_refused=summarised("console: too many connections, from one address or in total"),
            )
        )
        yield console


async def _site(
    stack: AsyncExitStack,
    config: Config,
    own: ConsoleConfig,
    opened: Open,
    certificates: StaffCertificates | None,
) -> tuple[Site, StaffSessions]:
    """Return the console's site, and its sessions, which end with this process."""
    log = _Log(opened)
    if certificates is not None:
        named, limits = certificates.staff, certificates.limits
        service: SignInService = CertificateService(certificates.judged)
    elif own.sign_in is not None:
        named, limits = {one.subject: one.name for one in own.staff}, session_limits(own.sign_in)
        issuers = own.sign_in.tls_issuers
        client = await stack.enter_async_context(
            sign_in_client(config, own.networks, issuers, Health(system_clock).note)
        )
        service = oidc_service(own.sign_in, client, "console.sign_in")
    else:
        raise ConfigError("console.sign_in", "is missing")
    staff = StaffSessions(named, system_clock, log.signed_in, certificates is not None)
    sessions = Sessions(staff, secrets.token_bytes(32), system_clock, limits)
    place = Place(own.origin, own.name, sessions, system_clock, log.refused)
    holds = None if certificates is None else certificates.judged.hold
    return Site(own.origin, own.name, sessions, service.at(place), holds=holds, welcome=_WELCOME), staff


class StaffCertificates:
    """Sign-in by the staff's certificates, as configured."""

    def __init__(self, own: ConsoleConfig, settings: ConsoleCertificatesConfig) -> None:
        """Read the files that the configuration names; raise :class:`ConfigError` if they cannot be used."""
        self.staff = {certificate_subject(one.subject) or "": one.name for one in own.staff}
        """Each person's name in logs, by the fingerprint or subject of the person's certificate."""
        self.limits = SessionLimits(
            timedelta(seconds=settings.idle_seconds), timedelta(seconds=settings.whole_seconds)
        )
        used = CertificateSettings(
            settings.issuers, settings.revocation_lists, frozenset(settings.revoked), self._named
        )
        try:
            self.judged = ClientCertificates(used, system_clock)
        except OSError as error:
            raise ConfigError("console.certificates", f"cannot be read: {reason(error)}") from None
        except ValueError as error:
            raise ConfigError("console.certificates", str(error)) from None

    def _named(self, certificate: x509.Certificate) -> str | None:
        known = (fingerprint(certificate), certificate.subject.rfc4514_string())
        return next((each for each in known if each in self.staff), None)


class _Log:
    """Recording of sign-ins in the operator's log; while its database is away, in the journal."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened
        self._refusals = LimitedEntries(system_clock)

    async def signed_in(self, name: str, proof: Proof) -> None:
        await self._record(ConsoleEvent.CONSOLE_SIGNED_IN, by=name, **proof.facts())

    async def refused(self, fault: Fault) -> None:
        left_out = self._refusals.next()
        if left_out is not None:
            await self._record(ConsoleEvent.CONSOLE_SIGN_IN_REFUSED, reason=fault.value, **left_out)

    async def _record(self, event: ConsoleEvent, **facts: str) -> None:
        try:
            await (await self._opened()).gate.operator_log(event, **facts)
        except Explained as error:
            said = " ".join(f"{name}={value}" for name, value in facts.items())
            _LOGGER.warning("console: not in the operator's log (%s): %s %s", error, event, said)
