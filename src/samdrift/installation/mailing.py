"""Notices by mail, from the configuration: the mail server, and the addresses at which people sign in."""

from __future__ import annotations

from collections.abc import Callable

from samdrift.config.inputs import reason
from samdrift.config.mail import MailConfig
from samdrift.config.model import Config
from samdrift.config.organisations import host_of
from samdrift.config.toml import ConfigError
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.entrance.sites import Sites
from samdrift.installation.health import Dependency, Note
from samdrift.installation.signin import pages_origin
from samdrift.messageclient.notices.worker import Notices, NoticeSettings
from samdrift.messageclient.permissions import Assignments
from samdrift.net.smtp import MailServer, MailServerSettings
from samdrift.net.tls import client_tls
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier


def notices(
    config: Config, gate: Gate, sites: Sites, assignments: Assignments, clock: Clock, note: Note
) -> Notices:
    """Return the worker that sends notices; :class:`ConfigError` for a password that cannot be read."""
    mail = config.mail
    settings = NoticeSettings(mail.sender if mail else "", sites.origins(), _governance(config))
    server = None if mail is None else mail_server(mail)
    watch = noted(mail, note) if mail else lambda reason: None
    vaults = gate.worker("notices", Role.MESSAGE_CLIENT)
    return Notices(vaults, assignments, settings, server, clock, watch)


def noted(mail: MailConfig, note: Note) -> Callable[[str], None]:
    """Return a function that reports whether the mail server is reachable, and if not, why."""

    def noting(reason: str) -> None:
        note(Dependency.MAIL, mail.host, f"{mail.host}:{mail.port}: {reason}" if reason else "")

    return noting


def _governance(config: Config) -> dict[ParticipantIdentifier, str]:
    """Return the address at which each organisation's officers sign in."""
    own = config.governance
    if own is None:
        return {}
    return {
        one.identifier: pages_origin(one, own)
        for one in config.organisations
        if host_of(one, Role.GOVERNANCE)
    }


def mail_server(mail: MailConfig) -> MailServer:
    """Return the configured mail server."""
    settings = MailServerSettings(mail.host, mail.port, mail.security, mail.user, _password(mail))
    return MailServer(settings, client_tls(trust=mail.tls_issuers, http=False))


def _password(mail: MailConfig) -> str:
    if mail.password_file is None:
        return ""
    try:
        return mail.password_file.read_bytes().decode().strip()
    except OSError as error:
        raise ConfigError("mail.password_file", f"cannot be read: {reason(error)}") from None
    except UnicodeError:
        raise ConfigError("mail.password_file", "is not text") from None
