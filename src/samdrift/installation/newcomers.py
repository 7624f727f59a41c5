"""Organisations that are added to the configuration file while one process serves all of them.

At isolation level ``process`` each organisation has a process of its own, which reads the file when it
starts. Here the roles start serving the added ones; entries that existed at the start keep their settings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from samdrift.config.model import Config
from samdrift.config.organisations import OrganisationConfig
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Role
from samdrift.installation.replaceable import current_organisations
from samdrift.scheduling.ticks import tick

TakeUp = Callable[[OrganisationConfig], None]
"""Function that makes a role serve a further organisation, if that organisation has the role."""

_LOOK_SECONDS = 1.0
_LOGGER = logging.getLogger("samdrift")
_PAGES = frozenset({Role.MESSAGE_CLIENT, Role.GOVERNANCE})


async def newcomers_taken_up(config: Config, roles: Sequence[TakeUp]) -> None:
    """Make ``roles`` serve each organisation that is added to the file of ``config``, until cancelled.

    An organisation that cannot be served does not affect others.
    """
    current = current_organisations(config)
    read: Sequence[OrganisationConfig] = config.organisations
    known = {one.identifier for one in read}
    while True:
        await tick(_LOOK_SECONDS)
        before, read = read, current()
        for one in () if read is before else read:
            if one.identifier not in known:
                known.add(one.identifier)
                _take_up(one, roles)


def _take_up(one: OrganisationConfig, roles: Sequence[TakeUp]) -> None:
    try:
        for role in roles:
            role(one)
    except (OSError, ValueError, Explained) as error:
        why = str(error) if isinstance(error, Explained) else type(error).__name__
        _LOGGER.error("organisations: %s is served after a restart only (%s)", one.identifier, why)
        return
    _LOGGER.info("organisations: %s is served from now on", one.identifier)
    if wanting := _wanting_a_restart(one):
        _LOGGER.warning("organisations: %s: after a restart only: %s", one.identifier, ", ".join(wanting))


def _wanting_a_restart(one: OrganisationConfig) -> list[str]:
    """Return the parts of an organisation's entry that take effect only after a restart."""
    found = {
        "its pages": bool(_PAGES & {*one.roles}),
        "log_system": one.log_system is not None,
        "hsm": one.hsm is not None,
    }
    return [part for part, wants in found.items() if wants]
