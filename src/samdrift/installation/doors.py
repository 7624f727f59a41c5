"""The listeners of an installation, by name."""

from __future__ import annotations

from enum import StrEnum

from samdrift.contracts.principals import Role


class Door(StrEnum):
    """A listener that is reached from outside: an interface, or the pages of a role."""

    A = "a"
    C = "c"
    D = "d"
    MK = "mk"
    GOV = "gov"
    METRICS = "metrics"
    LOG = "log"
    """The log of a worker's own vault, reachable only by the front."""


ROLES = {
    Door.A: Role.ACCESS_POINT,
    Door.C: Role.ACCESS_POINT,
    Door.D: Role.MESSAGE_SERVICE,
    Door.MK: Role.MESSAGE_CLIENT,
    Door.GOV: Role.GOVERNANCE,
}
"""The role that answers at each listener; every role has metrics and log listeners."""
