"""The entry of an organisation for the configuration file, as a draft to be completed."""

from __future__ import annotations

import json

from samdrift.administration.checklist import Facts
from samdrift.config.model import Config
from samdrift.config.organisations import HOST_KEYS
from samdrift.contracts.principals import Role
from samdrift.keystore.keyfiles import KeyName
from samdrift.wire.crypto.certificates import fingerprint


def entry_text(config: Config, facts: Facts, name: str, part_of: str = "") -> str:
    """Return TOML to append to the file; strings are written as JSON, which TOML also accepts."""
    lines = [
        "[[organisations]]",
        f"identifier = {_text(facts.organisation.value)}",
        f"name = {_text(name or facts.organisation.value)}"
        + ("" if name else "  # its name, as in its certificates"),
        f"roles = {json.dumps([role.value for role in facts.roles])}",
    ]
    for role, key in HOST_KEYS.items():
        if role in facts.roles:
            lines.append(f'{key} = ""  # the host at which its people reach the role {role}')
    if part_of:
        lines.append(f"part_of = {_text(part_of)}")
    if Role.MESSAGE_SERVICE in facts.roles:
        lines += [
            "functional_addresses = []  # as in the address book",
            f"access_point = {_text(_interface_c(config))}",
        ]
    if Role.ACCESS_POINT in facts.roles:
        lines.append(_clients(facts))
    return "\n".join(lines) + "\n"


def _clients(facts: Facts) -> str:
    """Return the clients of interface C: the organisation's message service, once it has a certificate."""
    held = facts.keys.certificates(KeyName.TLS_CLIENT)
    if not held:
        return 'clients = {}  # "message-service" = SHA-256 of its client certificate'
    return f'clients = {{ "message-service" = "{fingerprint(held[0])}" }}'


def _interface_c(config: Config) -> str:
    """Return the access point address of another organisation here, or else our own access point's."""
    for one in config.organisations:
        if one.access_point:
            return one.access_point
    listen = config.access_point.listen_c if config.access_point else None
    return f"https://{listen.host}:{listen.port}" if listen else "https://access-point.example"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
