"""The demonstration's file with all its addresses and files, for scripts and newcomers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from samdrift.demo.world import World


def write_ready(file: Path, world: World, folder: Path, reports: Mapping[str, Path]) -> None:
    """Write the file atomically, once everything is up, so that readers never see part of it."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(json.dumps(ready(world, folder, reports), ensure_ascii=False, indent=2) + "\n", "utf-8")
    draft.replace(file)


def ready(world: World, folder: Path, reports: Mapping[str, Path] = MappingProxyType({})) -> dict[str, Any]:
    """Return reports, pages with the people who can sign in there, interfaces, and configuration files."""
    federation = world.federation
    interfaces = {
        "sml": f"127.0.0.1:{federation.dns_port}",
        "smp": federation.smp_url,
        "address-book": federation.address_book_url,
        "revocation": federation.responder_url,
    }
    for enrolled, _ in world.operators:
        own, service = enrolled.config.access_point, enrolled.config.message_service
        metrics = enrolled.config.metrics
        if own is not None:
            interfaces[f"{enrolled.demo.party} a"] = enrolled.as4_address
            interfaces[f"{enrolled.demo.party} c"] = f"https://{own.listen_c.host}:{own.listen_c.port}"
        if metrics is not None:
            listen = f"http://{metrics.listen.host}:{metrics.listen.port}"
            interfaces[f"{enrolled.demo.party} metrics"] = f"{listen}/metrics"
            interfaces[f"{enrolled.demo.party} health"] = f"{listen}/health"
        if service is not None:
            interfaces[f"{enrolled.demo.party} d"] = f"{service.address_d}/v1"
    return {
        "pages": [
            {
                "organisation": page.organisation,
                "url": page.url,
                "person": page.person,
                "roles": list(page.roles),
                "login": f"follow the link 'Logga in', then the link '{page.person}'; there is no password",
            }
            for page in world.pages
        ],
        "reports": [
            {"organisation": name, "url": file.as_uri(), "file": str(file)} for name, file in reports.items()
        ],
        "interfaces": interfaces,
        "configs": [
            *(str(enrolled.config_file) for enrolled, _ in world.operators),
            *(str(file) for file in world.clients.values()),
        ],
        "folder": str(folder),
    }
