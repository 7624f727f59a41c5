"""Every part that is used must be signed and encrypted: ebms3-core 7.2, transport-profile-as4 2.10.

Each message here has a valid signature that does not cover everything required.
"""

from __future__ import annotations

import pytest

from samdrift.wire.as4 import As4Fault, EbmsErrorCode
from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.wssec.names import ATTACHMENT_SIGNATURE
from tests.unit.wire.as4.crafting import Crafted
from tests.unit.wire.as4.parties import PAYLOAD, message, sender, stranger
from tests.unit.wire.as4.refusals import accepted, refusal

POLICY = EbmsErrorCode.POLICY_NONCOMPLIANCE
AUTHENTICATION = EbmsErrorCode.FAILED_AUTHENTICATION


def test_a_crafted_message_without_edits_is_accepted() -> None:
    received = accepted(Crafted())
    assert received.payload == PAYLOAD
    assert received.header.certificate == sender().certificate


def test_a_peer_may_leave_the_timestamp_out() -> None:
    assert accepted(Crafted(with_timestamp=False)).header.security_timestamp is None


@pytest.mark.parametrize(
    ("crafted", "text"),
    [
        (Crafted(with_signature=False), "not signed"),
        (Crafted(with_encryption=False), "not encrypted"),
        (Crafted(signed=("body", "timestamp")), "the signature does not cover the header"),
        (Crafted(signed=("messaging", "timestamp")), "the signature does not cover the header"),
        (Crafted(signed=("messaging", "body")), "the signature does not cover the header"),
        (Crafted(signed=()), "the signature does not cover the header"),
        (Crafted(attachment_signed=False), "the signature does not cover the payload"),
    ],
)
def test_what_is_not_signed_or_encrypted_is_not_accepted(crafted: Crafted, text: str) -> None:
    """Clauses: transport-profile-as4 2.10 sentence 1."""
    assert refusal(crafted) == (POLICY, text)


def test_no_security_header_at_all_is_not_accepted() -> None:
    crafted = Crafted(with_signature=False, with_encryption=False, with_timestamp=False)
    assert refusal(crafted) == (POLICY, "not signed")


def test_a_refusal_names_the_message() -> None:
    with pytest.raises(As4Fault) as caught:
        accepted(Crafted(with_signature=False))
    assert caught.value.ref_to_message_id == message().message_id
    error = caught.value.as_error()
    assert (error.code, error.ref_to_message_id) == (POLICY, message().message_id)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0203:receiver.example", "0203:receiver.exampel"),
        ("tm-base-ext-sigenc", "tm-base"),
        ("AP0001-SDK-TEST", "AP0003-SDK-TEST"),
        ("2026-03-02T12:00:00.123Z</wsu:Created>", "2026-03-03T12:00:00.123Z</wsu:Created>"),
        ('wsu:Id="Body">', 'wsu:Id="Body" x="">'),
    ],
)
def test_a_change_after_signing_is_noticed(old: str, new: str) -> None:
    def edit(soap: str) -> str:
        assert old in soap
        return soap.replace(old, new)

    assert refusal(Crafted(soap=edit))[0] is AUTHENTICATION


def test_a_digest_that_was_changed_with_its_part_is_noticed() -> None:
    """The references can be adapted to the change, but the signature value cannot."""
    other = Crafted(messaging=lambda markup: markup.replace("conversation-1", "conversation-2"))
    theirs = other.build()[1].decode("latin-1")
    start, end = theirs.index("<ds:SignatureValue>"), theirs.index("</ds:SignatureValue>")
    value = theirs[start:end]

    def edit(soap: str) -> str:
        at, to = soap.index("<ds:SignatureValue>"), soap.index("</ds:SignatureValue>")
        return soap[:at] + value + soap[to:]

    assert refusal(Crafted(soap=edit)) == (
        AUTHENTICATION,
        "not by the certificate that it names (at Signature)",
    )


def test_the_token_decides_whose_signature_it_is() -> None:
    assert accepted(Crafted(signer=stranger())).header.certificate == stranger().certificate


def test_a_token_of_somebody_else_does_not_fit() -> None:
    theirs, ours = to_base64(stranger().certificate), to_base64(sender().certificate)
    crafted = Crafted(signer=stranger(), soap=lambda soap: soap.replace(theirs, ours))
    assert refusal(crafted)[0] is AUTHENTICATION


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        (
            '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">',
            '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315">',
        ),
        (
            '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">',
            '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#WithComments">',
        ),
        ("xmlenc#sha256", "xmldsig#sha1"),
    ],
)
def test_other_algorithms_in_a_signature_are_not_accepted(old: str, new: str) -> None:
    def edit(markup: str) -> str:
        assert old in markup
        return markup.replace(old, new)

    assert refusal(Crafted(signature=edit))[0] is POLICY


def test_an_attachment_must_be_referred_to_with_the_transform_for_attachments() -> None:
    """Otherwise a name in the envelope could be taken for the attachment."""
    exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
    crafted = Crafted(signature=lambda markup: markup.replace(ATTACHMENT_SIGNATURE, exclusive))
    assert refusal(crafted)[0] in (POLICY, AUTHENTICATION)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("http://www.w3.org/2009/xmlenc11#rsa-oaep", "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        ("http://www.w3.org/2009/xmlenc11#rsa-oaep", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"),
        ("http://www.w3.org/2009/xmlenc11#mgf1sha256", "http://www.w3.org/2009/xmlenc11#mgf1sha1"),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
        ("http://www.w3.org/2009/xmlenc11#aes128-gcm", "http://www.w3.org/2001/04/xmlenc#aes128-cbc"),
        ("#Attachment-Ciphertext-Transform", "#Attachment-Other-Transform"),
        ("#Attachment-Content-Only", "#Content"),
    ],
)
def test_other_algorithms_in_encryption_are_not_accepted(old: str, new: str) -> None:
    def edit(markup: str) -> str:
        assert old in markup
        return markup.replace(old, new)

    assert refusal(Crafted(encryption=edit))[0] is POLICY


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('URI="cid:message"', 'URI="cid:other"'),
        ('URI="cid:message"', 'URI="#Body"'),
        ('URI="#Data-1"', 'URI="#Data-2"'),
        ('<xenc:DataReference URI="#Data-1"></xenc:DataReference>', ""),
        ("<xenc:CipherValue>", "<xenc:CipherValue>!"),
        ('URI="#Recipient-1"', 'URI="#Nobody"'),
    ],
)
def test_encryption_must_be_declared_for_the_attachment_that_is_signed(old: str, new: str) -> None:
    def edit(markup: str) -> str:
        assert old in markup
        return markup.replace(old, new)

    code, _ = refusal(Crafted(encryption=edit))
    assert code in (POLICY, EbmsErrorCode.INVALID_HEADER, AUTHENTICATION)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (
            ("<eb:PartInfo", '<eb:PartInfo href="cid:x"></eb:PartInfo><eb:PartInfo'),
            EbmsErrorCode.PROCESSING_MODE_MISMATCH,
        ),
        (("application/gzip", "application/x-bzip2"), EbmsErrorCode.PROCESSING_MODE_MISMATCH),
        (("cid:message", "http://elsewhere.example/"), EbmsErrorCode.VALUE_INCONSISTENT),
        (("cid:message", "cid:other"), POLICY),
    ],
)
def test_the_header_names_one_compressed_attachment(edit: tuple[str, str], code: EbmsErrorCode) -> None:
    def messaging(markup: str) -> str:
        assert edit[0] in markup
        return markup.replace(edit[0], edit[1], 1)

    assert refusal(Crafted(messaging=messaging))[0] is code
