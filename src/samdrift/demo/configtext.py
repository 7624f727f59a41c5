"""The configuration file of an operator of the demonstration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samdrift.contracts.messageclients import Scope
from samdrift.contracts.principals import Role


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses that are chosen again at each start."""

    listen_a: str
    address_a: str
    """Where peers reach it, as registered in SMP."""
    listen_c: str
    listen_d: str
    listen_mk: str
    """Where persons reach message clients; empty where no organisation has one."""
    listen_gov: str
    name_server: str
    address_book: str


@dataclass(frozen=True, slots=True)
class Served:
    """An organisation as it is in the file."""

    identifier: str
    name: str
    number: str
    roles: Sequence[Role]
    hosts: Mapping[str, str]
    """The hosts at which persons reach it, by the key of the configuration."""
    mailboxes: Sequence[str]
    clients: Mapping[str, str]
    """Systems that may use interface C, by the fingerprint of their certificate."""
    message_client: str
    """The one that may use interface D, and the file with its public key."""
    message_client_keys: str


def config_text(
    party: str, federation: str, zone: str, places: Places, organisations: Sequence[Served]
) -> str:
    """TOML; a JSON string is a TOML string."""
    lines = [
        "# Written by the demonstration at each start. It cannot be used in production.",
        'environment = "demonstration"',
        'inner_issuers = "trust/tls/tlsca.pem"',
        "",
        "[federation]",
        f"identifier = {json.dumps(federation)}",
        f"sml_zone = {json.dumps(zone)}",
        'trust = "trust"',
        'tls_issuers = "trust/tls/tlsca.pem"',
        f"name_servers = [{json.dumps(places.name_server)}]",
        "private_addresses = true",
        "",
        "[vaults]",
        'database = "database"',
        'objects = "objects"',
        'secrets = "secrets"',
        'passphrase_file = "passphrase"',
        "",
        "[access_point]",
        f"party = {json.dumps(party)}",
        'message_id_domain = "demo.samdrift.test"',
        f"listen = {json.dumps(places.listen_a)}",
        f"listen_c = {json.dumps(places.listen_c)}",
        f"address = {json.dumps(places.address_a)}",
        "",
        "[message_service]",
        f"listen_d = {json.dumps(places.listen_d)}",
        f"address_d = {json.dumps(f'https://{places.listen_d}')}",
        "",
        *_listener("message_client", places.listen_mk),
        *_listener("governance", places.listen_gov),
        "[malware]",
        'scanner = "none"',
        "",
        "[address_book]",
        f"url = {json.dumps(places.address_book)}",
        'file = "addressbook.json"',
    ]
    for one in organisations:
        clients = ", ".join(
            f"{json.dumps(name)} = {json.dumps(value)}" for name, value in one.clients.items()
        )
        lines += [
            "",
            "[[organisations]]",
            f"identifier = {json.dumps(one.identifier)}",
            f"name = {json.dumps(one.name, ensure_ascii=False)}",
            f"number = {json.dumps(one.number)}",
            f"roles = {json.dumps(one.roles)}",
            *(f"{key} = {json.dumps(host)}" for key, host in one.hosts.items()),
            f"functional_addresses = {json.dumps(list(one.mailboxes), ensure_ascii=False)}",
            "base_model = true",
            f"access_point = {json.dumps(f'https://{places.listen_c}')}",
            f"clients = {{ {clients} }}",
            "",
            "[[organisations.message_clients]]",
            f"id = {json.dumps(one.message_client)}",
            f"keys = {json.dumps(one.message_client_keys)}",
            f"scopes = {json.dumps([scope.value for scope in Scope])}",
            "default = true",
        ]
    return "\n".join(lines) + "\n"


def _listener(table: str, address: str) -> Sequence[str]:
    """The table of a role that persons reach, where an organisation has it."""
    return [f"[{table}]", f"listen = {json.dumps(address)}", ""] if address else []
