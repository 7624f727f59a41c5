"""The doctor's check of the operator's console: its listener, staff and certificate sign-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from samdrift.config.console import ConsoleCertificatesConfig, ConsoleConfig
from samdrift.config.inputs import reason
from samdrift.config.model import Config, Environment
from samdrift.net.tlsprobe import Listener
from samdrift.operations.findings import Finding, Subject
from samdrift.operations.setup import CONSOLE_UNIT
from samdrift.operations.tlsrules import Target, check_tls
from samdrift.web.signin.certificate import CertificateSettings, ClientCertificates

_CERTIFICATES = Subject("console.certificates", "nobody can sign in to the console")
_STAFF = Subject("console.staff", "actions at the console are not tied to a member of staff")
_NAME_THEM = "enter each as [[staff]] under the same name: docs/console.md#who-acts"
_SOON = timedelta(days=1)
_SET_UP = "docs/console.md#sign-in-by-certificate"
_TODO = "fetch the issuer's current list into console.certificates.revocation_lists: docs/console.md"


async def check_console(config: Config, now: datetime) -> AsyncIterator[Finding]:
    """Check the console's listener as a browser would, and the issuers and lists for sign-in by certificate.

    The console is a process of its own, so it is checked even when the installation is not running.
    """
    own = config.console
    if own is None:
        return
    yield _staff(config, own)
    if own.certificates is not None:
        yield _certificates(own.certificates, now)
    if not own.plain:
        unit = CONSOLE_UNIT.removesuffix(".service")
        listener = Listener(own.listen.called, own.listen.port, own.host)
        async for each in check_tls(Target("console", listener, config.federation.tls_issuers, unit)):
            yield each


def _staff(config: Config, own: ConsoleConfig) -> Finding:
    """Check that those who may sign in are named as staff with keys, where such names are required."""
    named = {each.name for each in config.staff if not each.commands}
    others = [each.name for each in own.staff if each.name not in named]
    if config.staff and others:
        return _STAFF.warn(f"may look but not act: {', '.join(others)}", _NAME_THEM)
    if config.staff:
        return _STAFF.ok(f"{len(own.staff)} may sign in, each in [[staff]]")
    if config.environment is not Environment.PRODUCTION:
        return _STAFF.skipped("nobody is named with keys: required only in production")
    return _STAFF.warn("[[staff]] is empty: the keys of those who act are unknown", _NAME_THEM)


def _certificates(own: ConsoleCertificatesConfig, now: datetime) -> Finding:
    try:
        settings = CertificateSettings(own.issuers, own.revocation_lists)
        until = ClientCertificates(settings, lambda: now).lists_end()
    except OSError as error:
        return _CERTIFICATES.fail(f"{error.filename}: {reason(error)}", _SET_UP)
    except ValueError as error:
        return _CERTIFICATES.fail(str(error), _SET_UP)
    if until is None:
        return _CERTIFICATES.ok("issuers readable; no revocation lists in use")
    at = f"{until:%Y-%m-%d %H:%M}Z"
    if until <= now:
        return _CERTIFICATES.fail(f"the first revocation list ended at {at}", _TODO)
    text = f"the first revocation list ends at {at}"
    return _CERTIFICATES.warn(text, _TODO) if until - now < _SOON else _CERTIFICATES.ok(text)
