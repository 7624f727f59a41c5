"""The compliance report as a PDF: it contains every duty, and states who signed it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from samdrift.attestation.pdfsigning import FIELD, signed_pdf
from samdrift.governance.report import Status
from samdrift.governance.reportpdf import TEMPLATE, pdf_document
from samdrift.messageclient.handover.pdf import Typesetter
from samdrift.messageclient.handover.typesetting import typeset
from tests.pki import root
from tests.unit.governance.test_report import everything, made

pytest.importorskip("typst", reason="the extra pdf is not installed")


def set_report(language: str = "sv") -> bytes:
    document = pdf_document(made(everything()), "Håbo kommun", language)
    return typeset(json.dumps(document, ensure_ascii=False), TEMPLATE)


def test_every_duty_is_in_it_with_its_status_in_both_languages() -> None:
    found = made(everything())
    for language in ("sv", "en"):
        document: dict[str, Any] = pdf_document(found, "Håbo kommun", language)
        assert [row["says"] for row in document["rows"]] == [row.duty.says.of(language) for row in found.rows]
        assert [each["count"] for each in document["counts"]] == [
            str(found.count(status)) for status in reversed(Status)
        ]
        assert typeset(json.dumps(document, ensure_ascii=False), TEMPLATE).startswith(b"%PDF-")


async def test_a_process_of_its_own_sets_it() -> None:
    pdf = await Typesetter(TEMPLATE).pdf(pdf_document(made(), "Håbo kommun", "sv"), "0203:habo.se")
    assert b"<pdfaid:part>2</pdfaid:part>" in pdf


async def test_the_signature_covers_all_of_it_and_is_by_the_key() -> None:
    """The library's own verifier judges it, and reads the file again."""
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import async_validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    key = root("Test CA", 1).issue("Håbo kommun", usage=("digital_signature", "content_commitment"))
    pdf = set_report()
    signed = await signed_pdf(pdf, key.signing_key())
    assert signed.startswith(pdf)
    (found,) = PdfFileReader(BytesIO(signed)).embedded_signatures
    assert found.field_name == FIELD
    context = ValidationContext(trust_roots=[found.signer_cert], allow_fetching=False)
    status = await async_validate_pdf_signature(found, context)
    assert status.intact
    assert status.valid
    assert status.coverage.name == "ENTIRE_FILE"
    changed = bytearray(signed)
    place = signed.index(b"/Title") + 12
    changed[place] ^= 1
    (altered,) = PdfFileReader(BytesIO(bytes(changed))).embedded_signatures
    assert not (await async_validate_pdf_signature(altered, context)).intact
