"""Files that no command can use, and the error that each causes."""

from __future__ import annotations

import os
from pathlib import Path

_BOMB = """<?xml version="1.0"?>
<!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>
<messagePayload xmlns="urn:riv:infrastructure:messaging:MessageWithAttachments:3">&c;</messagePayload>
"""
_OUTSIDE = """<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/hostname">]><x>&file;</x>"""


def make_unusable(folder: Path) -> dict[str, tuple[Path, str]]:
    """Make the files; return each path by the name of its case, with words that the error must contain."""
    contents = {
        "empty": (b"", "is empty"),
        "not-xml": (b"%PDF-1.7 \xff\xfe", "not an XML document"),
        "cut-short": (b"<messagePayload xmlns='urn:riv:infrastructure:messaging:Mes", "not well-formed"),
        "unknown-short-root": (b"<a/>", "no SDK message, envelope or receipt"),
        "unknown-root": (b"<html><body>hello</body></html>", "no SDK message, envelope or receipt"),
        "entity-bomb": (_BOMB.encode(), "document type declarations are not accepted"),
        "external-entity": (_OUTSIDE.encode(), "document type declarations are not accepted"),
        "utf-16": ("<a/>".encode("utf-16"), "not an XML document"),
        "nothing-but-zeros": (bytes(4096), "not an XML document"),
    }
    cases = {}
    for name, (content, words) in contents.items():
        path = folder / f"{name}.xml"
        path.write_bytes(content)
        cases[name] = (path, words)
    huge = folder / "huge.xml"
    with huge.open("wb") as file:
        file.truncate(2 << 30)
    loop = folder / "loop.xml"
    loop.symlink_to(loop)
    unreadable = folder / "unreadable.xml"
    unreadable.write_bytes(b"<locked></locked>")
    unreadable.chmod(0)
    return cases | {
        "huge": (huge, "larger than"),
        "endless": (Path("/dev/zero"), "larger than"),
        "no-such-file": (folder / "missing.xml", "no such file or directory"),
        "strange-name": (folder / "two\nlines\x1b[31m.xml", "two\\nlines\\x1b[31m.xml: no such file"),
        "directory": (folder, "is a directory"),
        "loop": (loop, "symbolic links"),
        "unreadable": (unreadable, "no SDK message" if os.geteuid() == 0 else "permission denied"),
    }
