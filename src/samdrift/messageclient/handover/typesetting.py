"""A separate process that typesets one document: it reads JSON, writes a PDF, and ends.

Texts by people are only ever data: the template is ours and fixed, and reads the JSON as texts, never as
markup. The process has no keys and no environment, writes no file, and opens only the program's own files.
:mod:`samdrift.messageclient.handover.pdf` starts it.
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

TEMPLATE = Path(__file__).parent / "template.typ"
_MEMORY = 2 << 30
_CPU_SECONDS = 120
_ROUNDS = 40
_WITHOUT_GLYPH = re.compile(r'the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}|\\(.)", re.DOTALL)
_PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def main() -> int:
    """Typeset the document on standard input; status 1 if that fails, without revealing content."""
    limit = resource.RLIM_INFINITY
    for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _CPU_SECONDS)):
        _, hard = resource.getrlimit(kind)
        lowest = most if hard == limit else min(most, hard)
        resource.setrlimit(kind, (lowest, lowest))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        template = Path(sys.argv[1]) if len(sys.argv) > 1 else TEMPLATE
        pdf = typeset(sys.stdin.buffer.read().decode(), template)
    except Exception as error:
        sys.exit(type(error).__name__)
    sys.stdout.buffer.write(pdf)
    return 0


def typeset(document: str, file: Path = TEMPLATE) -> bytes:
    """Return a document as a PDF; a character that no font contains is shown by its number."""
    import typst  # Only this process loads it: it is optional and takes 80 MB on disk.

    template = file.read_bytes()
    for _ in range(_ROUNDS):
        compiler = typst.Compiler(template, ignore_system_fonts=True, sys_inputs={"data": document})
        try:
            # Standards for archiving (ISO 19005-2, level A) and for screen readers (ISO 14289-1).
            pdf = compiler.compile(format="pdf", pdf_standards=["a-2a", "ua-1"])
        except typst.TypstError as error:
            missing = _characters_in(error.diagnostic)
            if not missing:
                raise
            document = document.translate({ord(each): f"⟦U+{ord(each):04X}⟧" for each in missing})
        else:
            assert isinstance(pdf, bytes)
            return pdf
    raise ValueError("too many characters are missing from the fonts")


def _characters_in(diagnostic: str) -> set[str]:
    """Return the characters that, according to a compilation, no font contains."""
    texts = _WITHOUT_GLYPH.findall(diagnostic)
    characters = {each for text in texts for each in _ESCAPED.sub(_unescaped, text)}
    return {each for each in characters if each > "\x7f"}


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _PLAIN_ESCAPES.get(match[2], match[2])


if __name__ == "__main__":
    sys.exit(main())
