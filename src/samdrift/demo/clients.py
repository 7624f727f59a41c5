"""A message client for each organisation of the demonstration, ready for `samdrift client`."""

from __future__ import annotations

import json
from pathlib import Path

from samdrift.client.keys import ClientKey
from samdrift.demo.cast import DemoOrganisation
from samdrift.messageservice.oauth.issuers import OwnIssuers

CLIENT = "demo"
"""The name of each of them at its authorisation server."""
FOLDER = "clients"


def registered_key(folder: Path, organisation: DemoOrganisation) -> str:
    """The file with the client's public key, below the operator's ``folder``; made when it is not there."""
    private = folder / FOLDER / f"{_name(organisation)}.pem"
    private.parent.mkdir(mode=0o700, exist_ok=True)
    if private.exists():
        key = ClientKey.read(private.read_bytes())
    else:
        key = ClientKey.new()
        key.write(private)
    public = private.with_suffix(".json")
    public.write_text(json.dumps(key.public), "utf-8")
    return f"{FOLDER}/{public.name}"


def write_client(folder: Path, organisation: DemoOrganisation, issuers: OwnIssuers) -> Path:
    """Write the client's configuration, for interface D and the authorisation server at the same address."""
    lines = {
        "interface": f"{issuers.address}/v1",
        "token_endpoint": issuers.token_endpoint(organisation.identifier),
        "client": CLIENT,
        "key": f"{_name(organisation)}.pem",
        "organisation": organisation.identifier.value,
        "address": organisation.mailbox.identifier,
        "label": organisation.mailbox.name,
        "issuers": "../trust/tls/tlsca.pem",
    }
    file = folder / FOLDER / f"{_name(organisation)}.toml"
    text = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items())
    file.write_text("".join(text), "utf-8")
    return file


def _name(organisation: DemoOrganisation) -> str:
    return organisation.identifier.value.rpartition(":")[2]
