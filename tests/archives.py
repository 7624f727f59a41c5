"""Archives that tests brought along or made, unpacked."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar file as it was packed; a Python before 3.11.4 has no rules for that, and needs none."""
    with tarfile.open(archive) as packed:
        packed.extraction_filter = getattr(tarfile, "tar_filter", None)
        packed.extractall(folder)
