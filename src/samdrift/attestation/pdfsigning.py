"""Signatures in PDF files (PAdES, ETSI EN 319 142-1), which any PDF reader can show.

The key is in the key store, possibly in hardware: the library builds the file and asks the key store for a
signature over it. This is an optional part of the program (extra ``pdf``).
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.contracts.errors import Explained
from samdrift.wire.crypto.keys import SigningKey

if TYPE_CHECKING:
    from pyhanko.sign.signers import Signer

FIELD = "Samdrift"
"""Name of the signature field."""


class NoPdfSignature(Explained):
    """Error raised when a PDF cannot be signed because the optional part is not installed."""

    def __init__(self) -> None:
        super().__init__("the PDF cannot be signed: PDF support is not installed (extra pdf)")


async def signed_pdf(pdf: bytes, key: SigningKey) -> bytes:
    """Return a PDF with a signature by ``key`` appended, leaving its existing content unchanged."""
    if find_spec("pyhanko") is None:
        raise NoPdfSignature
    return await asyncio.to_thread(_signed, pdf, key)


def _signed(pdf: bytes, key: SigningKey) -> bytes:
    # Imported here: the library takes a second to import, and only this function needs it.
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import SigSeedSubFilter
    from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

    about = PdfSignatureMetadata(FIELD, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)
    # The appended part must begin on a new line (ISO 19005-2, 6.1.9).
    whole = pdf if pdf.endswith(b"\n") else pdf + b"\n"
    out = PdfSigner(about, _signer(key)).sign_pdf(IncrementalPdfFileWriter(BytesIO(whole)))
    content: bytes = out.getvalue()
    return content


def _signer(key: SigningKey) -> Signer:
    from asn1crypto.algos import SignedDigestAlgorithm
    from asn1crypto.x509 import Certificate
    from pyhanko.sign.signers import Signer
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    class KeyStoreSigner(Signer):
        """A signer whose key is in the key store."""

        async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
            """Return a signature over ``data``, or a placeholder of the same length."""
            return bytes(512) if dry_run else key.sign(data)

    own = Certificate.load(key.certificate.public_bytes(Encoding.DER))
    none_else = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    mechanism = SignedDigestAlgorithm({"algorithm": "sha256_rsa"})
    return KeyStoreSigner(signing_cert=own, cert_registry=none_else, signature_mechanism=mechanism)
