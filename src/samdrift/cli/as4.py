"""``samdrift as4 inspect``: contents of a captured AS4 message, receipt or error.

For an operator who has a capture from a proxy, a log or a peer's administrator. It works offline, and does
not judge whether a certificate is trusted.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from samdrift.cli.envelope import certificate_document
from samdrift.cli.output import print_json, print_line, print_verdict
from samdrift.config.errors import Unusable, printable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import read_certificates, read_document, reason
from samdrift.config.reader import load
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.trust.keys import KeyMaterialError, private_key
from samdrift.wire.as4 import FINAL_RECIPIENT, ORIGINAL_SENDER
from samdrift.wire.as4.inspection import (
    As4Inspection,
    KeyDoesNotFit,
    OpenedPayload,
    SignatureState,
    Unwrap,
    inspect_capture,
    read_capture,
)
from samdrift.wire.crypto import certificates
from samdrift.wire.crypto.softwarekeys import unwrap
from samdrift.wire.ebms import EbmsError, UserMessage
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError

app = typer.Typer(add_completion=False)

_HOLDS = (SignatureState.VALID, SignatureState.PARTIAL)


@app.callback()
def as4() -> None:
    """Examine a captured AS4 message, receipt or error."""


@app.command()
def inspect(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", show_default=False, help="Captured traffic: one AS4 message.")
    ],
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Private key (PEM) that opens the encrypted attachment."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Configuration whose access point's keys open the attachment."),
    ] = None,
    signer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificates that a signature may name without carrying them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Show a capture's type, ids and parties, its errors, and whether and by whom it is signed.

    FILE holds SOAP or MIME, with or without HTTP headers. Neither trust nor the age of a message is judged.

    Exit status 0 when the signature is valid, at least apart from an encrypted attachment, 1 when it is
    invalid or absent, 2 when the file cannot be used.
    """
    keys = [*(_key(key) if key else ()), *(_own_keys(config) if config else ())]
    candidates = read_certificates(signer) if signer else ()
    try:
        captured = read_capture(read_document(file))
        found = [inspect_capture(message, keys, candidates) for message in captured]
    except KeyDoesNotFit as error:
        raise Unusable(f"{shown(file)}: {error.text}") from None
    except WireError as error:
        raise Unusable(f"{shown(file)}: {printable(str(error))}") from None
    if as_json:
        first, *further = map(_document, found)
        print_json({"file": shown(file), **first, "further": further})
    else:
        for number, inspection in enumerate(found, 1):
            name = f"{shown(file)} ({number} of {len(found)})" if len(found) > 1 else shown(file)
            _print(name, inspection)
    return 0 if all(each.signature.state in _HOLDS for each in found) else 1


def _key(file: Path) -> Iterator[Unwrap]:
    try:
        yield partial(unwrap, private_key(file.read_bytes()))
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None
    except KeyMaterialError:
        raise Unusable(f"{shown(file)}: is not an RSA private key in PEM, without a passphrase") from None


def _own_keys(config: Path) -> Iterator[Unwrap]:
    # Imported here: the key store takes a while to import, and most captures are read without it.
    from samdrift.installation.vaultsettings import key_store

    with reported_as_usage_errors():
        for own in key_store(load(config)).decryption_keys(OPERATOR_KEYS, KeyName.ACCESS_POINT):
            yield own.unwrap


def _document(found: As4Inspection) -> dict[str, Any]:
    signature = found.signature
    return {
        "kind": found.kind,
        "signature": signature.state,
        "reason": signature.reason,
        "unchecked": list(signature.unchecked),
        "signer": certificates.subject(signature.signer) if signature.signer else None,
        "certificate": certificate_document(signature.signer) if signature.signer else None,
        "ids": _ids(found),
        "time": found.info.timestamp.isoformat(),
        "security_timestamp": _security_timestamp(found),
        "encryption": found.encryption,
        "errors": [_error(error) for error in found.errors],
        "acknowledged": [
            {"uri": one.uri, "sha256": b64encode(one.digest).decode()} for one in found.acknowledged
        ],
        "header": _header(found.user_message) if found.user_message else None,
        "payloads": [_payload(payload) for payload in found.payloads],
    }


def _ids(found: As4Inspection) -> dict[str, str | None]:
    message = found.user_message
    return {
        "message_id": found.info.message_id,
        "ref_to_message_id": found.info.ref_to_message_id,
        "conversation_id": message.conversation_id if message else None,
    }


def _security_timestamp(found: As4Inspection) -> dict[str, str | None] | None:
    if found.timestamp is None:
        return None
    expires = found.timestamp.expires
    return {
        "created": found.timestamp.created.isoformat(),
        "expires": expires.isoformat() if expires else None,
    }


def _error(error: EbmsError) -> dict[str, str | None]:
    return {
        "code": error.code,
        "detail": error.detail,
        "severity": error.severity,
        "short_description": error.short_description,
        "description": error.description,
        "ref_to_message_id": error.ref_to_message_id,
    }


def _header(message: UserMessage) -> dict[str, str | None]:
    return {
        "from": message.from_party,
        "from_type": message.from_party_type,
        "from_role": message.from_role,
        "to": message.to_party,
        "to_type": message.to_party_type,
        "to_role": message.to_role,
        "original_sender": message.property(ORIGINAL_SENDER),
        "final_recipient": message.property(FINAL_RECIPIENT),
        "service": message.service,
        "action": message.action,
    }


def _payload(payload: OpenedPayload) -> dict[str, Any]:
    envelope = _envelope(payload.content)
    return {
        "content_id": payload.content_id,
        "problem": payload.problem,
        "bytes": len(payload.content),
        "sha256": sha256(payload.content).hexdigest(),
        "envelope": None
        if envelope is None
        else {"id": envelope.id, "from": str(envelope.sender), "to": str(envelope.recipient)},
    }


def _envelope(content: bytes) -> EnvelopeHeader | None:
    """Return the header if the payload is an envelope, whose content is not for us to read."""
    scanner = HeaderScanner()
    try:
        scanner.feed(content)
        return scanner.close()
    except WireError:
        return None


def _print(name: str, found: As4Inspection) -> None:
    signature = found.signature
    good = signature.state in _HOLDS
    print_verdict(f"{name}: {found.kind}, ", f"signature {signature.state}", good=good)
    lines: list[tuple[str, str | None]] = [
        ("why", signature.reason),
        ("unchecked", ", ".join(signature.unchecked)),
    ]
    if signature.signer:
        lines += [
            ("signer", certificates.subject(signature.signer)),
            ("issuer", certificates.issuer(signature.signer)),
            ("sha256", certificates.fingerprint(signature.signer)),
        ]
    lines += [(label.removesuffix("_id").replace("_", " "), value) for label, value in _ids(found).items()]
    lines += [("time", found.info.timestamp.isoformat())]
    lines += [(label, value) for label, value in (_security_timestamp(found) or {}).items()]
    lines += [("encryption", found.encryption)]
    if found.user_message:
        lines += [(label.replace("_", " "), value) for label, value in _header(found.user_message).items()]
    lines += [("error", f"{error.code} {error.detail or error.short_description}") for error in found.errors]
    lines += [("received", one.uri) for one in found.acknowledged]
    lines += [("payload", _payload_line(payload)) for payload in found.payloads]
    _print_lines(lines)


def _payload_line(payload: OpenedPayload) -> str:
    if payload.problem:
        return f"{payload.content_id}: {payload.problem}"
    envelope = _envelope(payload.content)
    what = f"envelope {envelope.id}" if envelope else "not an envelope of the profile"
    return f"{payload.content_id}: {len(payload.content)} bytes, {what}"


def _print_lines(lines: Sequence[tuple[str, str | None]]) -> None:
    """Print the contents, any of which may come from a peer."""
    for label, value in lines:
        if value:
            print_line(f"  {label:<16}{value}")
