"""`samdrift org keys publish`: what the organisation hands in to have its certificates published."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.publication import Publication, document, documents, swedish, to_publish
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.keyoptions import Workplace, worked
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.output import print_text, require_new
from samdrift.cli.persons import Actor, login
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.keystore.keyfiles import KeyName
from samdrift.wire.crypto.certificates import fingerprint


def publish(
    organisation: Organisation,
    config: ConfigFile,
    out: Annotated[Path | None, typer.Option("--out", help="A new file; printed by default.")] = None,
    text: Annotated[bool, typer.Option("--text", help="A text in Swedish to print and sign.")] = False,
    by: Actor = None,
) -> None:
    """Write what is handed in for certificate publishing: certificates (JSON), or fingerprints to compare."""

    async def work(place: Workplace) -> str:
        now, installation = datetime.now(UTC), place.installation
        keys = to_publish(installation.keys.keys(place.keeper.vault), now)
        if {key.name for key in keys} != {KeyName.SIGNING, KeyName.ENCRYPTION}:
            raise Unusable(
                "the organisation has no signing and encryption keys in use: samdrift org keys list"
            )
        base = any(
            one.base_model for one in installation.config.organisations if one.identifier == organisation
        )
        federation = installation.config.federation.identifier
        publication = Publication(federation, place.keeper.owner, documents(base), keys, now)
        digests = " ".join(fingerprint(key.certificate) for key in keys)
        await place.note(AuditEvent.KEYS_PUBLICATION_WRITTEN, by or login(), certificates=digests)
        if text:
            return swedish(publication)
        return json.dumps(document(publication), ensure_ascii=False, indent=2) + "\n"

    with reported_as_usage_errors():
        if out is not None:
            require_new(out)
    written = worked(config, organisation, work)
    if out is None:
        print_text(written)
    else:
        with reported_as_usage_errors():
            out.write_text(written, encoding="utf-8")
