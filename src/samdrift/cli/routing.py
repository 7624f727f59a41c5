"""`samdrift routing`: message clients by functional address, and the token endpoint of each organisation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.output import print_json, print_line
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.config.roles import MessageServiceConfig
from samdrift.contracts.principals import Role
from samdrift.installation import rolesettings
from samdrift.installation.loop import run
from samdrift.installation.messageclients import registrations
from samdrift.installation.vaultsettings import vault_settings
from samdrift.messageservice.oauth.registrations import OrganisationClients, OwnIssuers
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.vault.gate import Gate

app = typer.Typer(add_completion=False)


@app.command()
def routing(
    config: Annotated[Path, typer.Option(help="The installation's configuration file (TOML).")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Show issuers, message clients, and the clients that receive messages for each functional address.

    Exit status 1 if an organisation has message clients, but an address that none of them covers.
    """
    with reported_as_usage_errors():
        organisations = run(_organisations(load(config)))
    if as_json:
        print_json({"organisations": organisations})
    else:
        for one in organisations:
            _show(one)
    with_clients = (one for one in organisations if one["clients"])
    return int(any(not names for one in with_clients for names in one["addresses"].values()))


async def _organisations(config: Config) -> list[dict[str, Any]]:
    own = config.message_service
    if own is None or not own.address_d:
        raise Unusable("the configuration has no message_service.address_d")
    gate = await Gate.start(vault_settings(config))
    try:
        return _described(config, own, gate)
    finally:
        await gate.close()


def _described(config: Config, own: MessageServiceConfig, gate: Gate) -> list[dict[str, Any]]:
    profiles = rolesettings.profiles(config)
    issuers = OwnIssuers(own.address_d, gate.registry, profiles)
    known = registrations(config)
    return [
        _organisation(profile, known.of(organisation), issuers)
        for organisation, profile in profiles.items()
        if gate.registry.find(organisation, Role.MESSAGE_SERVICE) is not None
    ]


def _organisation(
    profile: OrganisationProfile, clients: OrganisationClients, issuers: OwnIssuers
) -> dict[str, Any]:
    own = issuers.url(profile.organisation)
    external = clients.external.issuer if clients.external else ""
    routing = clients.routing
    return {
        "organisation": profile.organisation.value,
        "issuer": own,
        "token_endpoint": issuers.token_endpoint(profile.organisation),
        "clients": [
            {
                "id": client.id,
                "issuer": external if client.keys is None else own,
                "addresses": [str(pattern) for pattern in client.patterns],
                "scopes": sorted(client.scopes),
                "default": client.default,
            }
            for client in clients.clients.values()
        ],
        "addresses": {
            address: list(routing.clients(address)) for address in sorted(profile.functional_addresses)
        },
    }


def _show(one: dict[str, Any]) -> None:
    print_line(f"{one['organisation']}  tokens at {one['token_endpoint']}")
    for client in one["clients"]:
        print_line(f"  client {client['id']}: {_addresses(client['addresses'], client['default'])}")
        print_line(f"    by {client['issuer']}")
    for address, names in one["addresses"].items():
        print_line(f"  {address} -> {', '.join(names) or ('NOBODY' if one['clients'] else 'no client')}")


def _addresses(patterns: Sequence[str], default: bool) -> str:
    """Describe a client's addresses: those that match its patterns, and all others if it is the default."""
    if not patterns:
        return "all addresses that are no other client's" if default else "no address"
    return " ".join(patterns) + ("  and all other addresses" if default else "")
