"""`./samdrift build`: builds the parts of a release, each into a folder, from the checkout with this file.

It runs in the environment of the ``requirements.lock`` next to it, which the launcher makes
(``.venv-build``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from failures import BuildFailure

CHECKOUT = Path(__file__).resolve().parents[1]


def wheel(folder: Path) -> None:
    """Build the wheel; the same commit yields the same bytes, wherever and whenever it is built."""
    from wheels import build

    print(build(CHECKOUT, folder))


def bom(folder: Path) -> None:
    """Write a bill of materials of the wheels in FOLDER, in CycloneDX 1.6, to samdrift.cdx.json there."""
    from materials import write

    print(write(folder, CHECKOUT / "requirements.lock"))


def docs(folder: Path) -> None:
    """Build the documentation site; fail on dead links, missing pictures, or pages in no navigation."""
    from pages import build

    print(build(CHECKOUT, folder))


def audit(folder: Path) -> None:
    """Look up known vulnerabilities of the locked packages, and write them to audit.json in FOLDER."""
    from vulnerabilities import audit

    print(audit(CHECKOUT / "requirements.lock", folder))


BUILT: Mapping[str, Callable[[Path], None]] = {"wheel": wheel, "bom": bom, "docs": docs, "audit": audit}


def main() -> int:
    """Build one of :data:`BUILT`; return 0, or 2 after printing the reason for a failure."""
    parser = argparse.ArgumentParser(prog="samdrift build", description="Build what a release consists of.")
    whats = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, function in BUILT.items():
        said = (function.__doc__ or "").strip()
        what = whats.add_parser(name, help=said, description=said)
        what.add_argument("folder", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    try:
        BUILT[asked.what](asked.folder)
    except BuildFailure as failure:
        sys.stderr.write(f"samdrift: {failure}\n")
        return 2
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        sys.stderr.write(f"samdrift: {error.filename or asked.folder}: {why}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
