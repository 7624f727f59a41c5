"""The table ``logs`` of the configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from samdrift.config.keys import Key
from samdrift.config.kinds import PATH, kind, whole
from samdrift.config.values import texts


def _networks(value: Any) -> tuple[str, ...]:
    for each in texts(value):
        try:
            ip_network(each)
        except ValueError:
            raise ValueError("has an entry that is not a network such as 192.0.2.0/24") from None
    return texts(value)


NETWORKS = kind("list of networks", _networks)


@dataclass(frozen=True, slots=True)
class LogsConfig:
    """Checkpoints of all logs, and the witnesses of the operator's own."""

    checkpoint_seconds: Annotated[
        int,
        Key(
            "Time between two checkpoints of a log, also when nothing happened in it.",
            whole(60, 3600),
            unit="seconds",
        ),
    ] = 300
    witnesses: Annotated[
        Path | None,
        Key(
            "Policy (c2sp.org/tlog-policy) with the witnesses of the operator's own log; a changed file is "
            "read again ([log](log.md)).",
            PATH,
            otherwise="none",
            example='"operator.policy"',
        ),
    ] = None
    witness_networks: Annotated[
        tuple[str, ...],
        Key(
            "Networks that are not public and in which witnesses may be, such as that of an organisation.",
            NETWORKS,
            otherwise="none",
            example='["10.1.2.0/24"]',
        ),
    ] = ()
