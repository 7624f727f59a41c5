"""The table ``logs`` of the configuration file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from samdrift.config.keys import Key
from samdrift.config.kinds import ADDRESS, PATH, kind, whole
from samdrift.config.toml import ConfigError
from samdrift.config.values import SocketAddress, text, texts


def _networks(value: Any) -> tuple[str, ...]:
    for each in texts(value):
        try:
            ip_network(each)
        except ValueError:
            raise ValueError("has an entry that is not a network such as 192.0.2.0/24") from None
    return texts(value)


def _authority(value: Any) -> str:
    address = text(value)
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
        raise ValueError("is not an http:// or https:// address")
    return address


def _policy(value: Any) -> str:
    if not _IDENTIFIER.fullmatch(text(value)):
        raise ValueError("is not an object identifier such as 0.4.0.2023.1.1")
    return text(value)


_IDENTIFIER = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,9})){1,20}")
NETWORKS = kind("list of networks", _networks)


@dataclass(frozen=True, slots=True)
class LogsConfig:
    """Checkpoints of all logs, and the witnesses of the operator's own log."""

    checkpoint_seconds: Annotated[
        int,
        Key(
            "Time between two checkpoints of a log, even when nothing happened in it.",
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
    time_stamps: Annotated[
        str | None,
        Key(
            "Address of an authority that stamps a checkpoint of each log once a day (RFC 3161); its "
            "answers are signed, so that it may be without TLS ([log](log.md#time-stamps)).",
            kind("http:// or https:// address", _authority),
            otherwise="none",
            example='"https://tsa.example.se/"',
        ),
    ] = None
    time_stamps_trust: Annotated[
        Path | None,
        Key(
            "Certificates (PEM) that the authority's must lead to, and those between that it does not"
            " send; required with `time_stamps`.",
            PATH,
            otherwise="none",
            example='"tsa-roots.pem"',
        ),
    ] = None
    time_stamps_policy: Annotated[
        str | None,
        Key(
            "Object identifier of the policy that time stamps must be given under.",
            kind("object identifier", _policy),
            otherwise="any",
            example='"0.4.0.2023.1.1"',
        ),
    ] = None
    kept: Annotated[
        Path | None,
        Key(
            "Folder of the logs of organisations that were closed, which are kept for a year "
            "([log](log.md#retention-and-disposal)).",
            PATH,
            otherwise="`kept-logs`, in the folder that `vaults.secrets` is in",
            example='"kept-logs"',
        ),
    ] = None
    witness_networks: Annotated[
        tuple[str, ...],
        Key(
            "Private networks in which witnesses, or the authority for time stamps, may be.",
            NETWORKS,
            otherwise="none",
            example='["10.1.2.0/24"]',
        ),
    ] = ()
    system_networks: Annotated[
        tuple[str, ...],
        Key(
            "Private networks in which log systems of organisations may be.",
            NETWORKS,
            otherwise="none",
            example='["10.1.3.0/24"]',
        ),
    ] = ()

    def __post_init__(self) -> None:
        if self.time_stamps is not None and self.time_stamps_trust is None:
            raise ConfigError(
                "time_stamps_trust", "is missing: the certificates that time stamps must lead to"
            )


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
        """Return the files with the certificate and its key."""
        return (self.certificate,) if self.key_file is None else (self.certificate, self.key_file)
