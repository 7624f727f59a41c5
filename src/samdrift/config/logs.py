"""The table ``logs`` of the configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from samdrift.config.keys import Key
from samdrift.config.kinds import ADDRESS, PATH, kind, whole
from samdrift.config.values import SocketAddress, texts


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
    system_networks: Annotated[
        tuple[str, ...],
        Key(
            "Networks that are not public and in which log systems of organisations may be.",
            NETWORKS,
            otherwise="none",
            example='["10.1.3.0/24"]',
        ),
    ] = ()


@dataclass(frozen=True, slots=True)
class LogSystemConfig:
    """An organisation's own log system, to which its logs are handed over (RFC 5425)."""

    address: Annotated[
        SocketAddress,
        Key(
            "Where it listens for syslog over TLS; its certificate has this name.",
            ADDRESS,
            example='"logs.habo.se:6514"',
        ),
    ]
    certificate: Annotated[
        Path, Key("Certificate (PEM) that is shown there.", PATH, example='"habo-logs.pem"')
    ]
    key_file: Annotated[
        Path | None,
        Key(
            "Its private key (PEM).",
            PATH,
            otherwise="in the same file",
            example='"habo-logs.key"',
        ),
    ] = None
    tls_issuers: Annotated[
        Path | None,
        Key(
            "Bundle (PEM) of issuers of its TLS certificate.",
            PATH,
            otherwise="Mozilla's",
            example='"habo-issuers.pem"',
        ),
    ] = None

    @property
    def identity(self) -> tuple[Path, ...]:
        """The files of the certificate and of its key."""
        return (self.certificate,) if self.key_file is None else (self.certificate, self.key_file)
