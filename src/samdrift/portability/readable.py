"""A message in readable Swedish: a text for a single one, and a line of a table for many; pure functions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from samdrift.vault.portability.parts import Facts

Members = dict[str, Any]

_DIRECTIONS: Final = {"in": "Inkommet", "out": "Skickat"}
CONTENT: Final = {
    "read": "uppackat",
    "unreadable": "kunde inte tolkas; originalet finns i message.xml",
    "gone": "togs bort medan exporten gjordes",
    "none": "finns inte hos leverantören",
}
"""Texts for the state of a message's content."""

_COLUMNS: Final = (
    *("Riktning", "Status", "Daterat", "Lagrat", "Rubrik", "Från organisation", "Från adress"),
    *("Till organisation", "Till adress", "Sekretess", "Meddelande-id", "Konversations-id", "Svar på"),
    *("Texter", "Bilagor", "Innehåll", "Mapp"),
)
_CONTROL_CHARACTERS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_FORMULA: Final = re.compile(r"""((?:^|[,;|])["'\s]*)(?=[=+\-@＝＋－＠])""")


def table_head() -> bytes:
    """Return the first line of the table, with the mark by which spreadsheets recognise UTF-8."""
    return b"\xef\xbb\xbf" + _line(_COLUMNS)


def table_line(facts: Facts, documents: Sequence[Members], content: str, folder: str) -> bytes:
    """Return a message's line of the table."""
    return _line(
        (
            *(_DIRECTIONS[facts["direction"]], facts["status"], facts["dated_at"], facts["created_at"]),
            *(facts["label"], facts["sender"], facts["sender_address"]),
            *(facts["recipient"], facts["recipient_address"]),
            *(_yes(facts["confidentiality"]), facts["id"], facts["conversation_id"]),
            facts["ref_to_message_id"],
            str(sum(len(document["texts"]) for document in documents)),
            str(sum(len(document["attachments"]) for document in documents)),
            *(CONTENT[content], folder),
        )
    )


def _line(cells: Sequence[str | None]) -> bytes:
    """Return cells as a line in which no spreadsheet finds formulas, even if it splits cells wrongly."""
    line = io.StringIO()
    safe = [_FORMULA.sub(r"\1'", _flat(cell or "")) for cell in cells]
    csv.writer(line, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(safe)
    return line.getvalue().encode()


def head(facts: Facts, content: str) -> str:
    """Return the beginning of a message's text."""
    rows = [
        ("Rubrik", facts["label"]),
        ("Riktning", _DIRECTIONS[facts["direction"]]),
        ("Från", _party(facts["sender"], facts["sender_address"])),
        ("Till", _party(facts["recipient"], facts["recipient_address"])),
        ("Daterat", facts["dated_at"]),
        ("Lagrat", facts["created_at"]),
        ("Status", facts["status"]),
        ("Sekretess", _yes(facts["confidentiality"])),
        ("Meddelande-id", facts["id"]),
        ("Konversations-id", facts["conversation_id"]),
        ("Svar på", facts["ref_to_message_id"]),
        ("Innehåll", CONTENT[content] + (" (meddelandet är raderat)" if facts["deleted"] else "")),
    ]
    return "".join(f"{name + ':':18}{_flat(value)}\n" for name, value in rows if value)


def title(text: str) -> str:
    """Return the title of a section in a message's text."""
    return f"\n{text.upper()}\n\n"


def shown(text: str) -> str:
    """Return a text without characters that control a terminal or change the direction of writing."""
    return _CONTROL_CHARACTERS.sub("\ufffd", text.replace("\r", ""))


def _flat(text: str) -> str:
    """Return the same text on one line."""
    return shown(text).replace("\n", " ").replace("\t", " ")


def attachments(documents: Sequence[Members]) -> Iterator[str]:
    """Yield a line for each attachment: its file, and its original name and type."""
    for document in documents:
        for file in document["attachments"]:
            name, kind = (_flat(file.get(each, "")) for each in ("fileName", "contentType"))
            yield f"{file.get('file', '-')}  ({name}, {kind}, {file.get('bytes', 0)} byte)\n"


def history(facts: Facts) -> Iterator[str]:
    """Yield a line for each event of a message."""
    for event in facts["events"]:
        said = " - ".join(filter(None, (event["title"], event["detail"], event["path"])))
        yield _flat(f"{event['at']}  {event['status']}  {said}") + "\n"


def receipt(facts: Facts, file: str) -> str:
    """Return the text of a message receipt, to be placed after the text of its message."""
    way = "skickad" if facts["direction"] == "out" else "mottagen"
    said = f"{facts['created_at']}  {facts['status']}  {way}, {facts['counterpart']}  {file}"
    return title("Meddelandekvittens") + _flat(said) + "\n"


def _party(organisation: str, address: str | None) -> str:
    return f"{organisation}, {address}" if address else organisation


def _yes(value: bool) -> str:
    return "ja" if value else "nej"
