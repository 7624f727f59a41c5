"""Places where our verdict differs from the published schema or Schematron, or where the texts contradict.

A validator that follows DIGG's files to the letter accepts some messages that the specification forbids, and
the specification contradicts itself in places. Each place is one entry, so that the conformance page lists
them all; the differential tests fail for a difference without an entry, and for an entry without a
difference. ``name`` is that of a :class:`samdrift.wire.xml.schema.Rule` if a rule causes the difference.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference: the clause, its subject, what schema and Schematron say, and what we do.

    ``changes_verdict`` if a document can be valid to us and not to the published files, or the other way
    round; otherwise only texts or codes differ.
    """

    name: str
    clause: str
    what: str
    schema_says: str
    schematron_says: str
    we_do: str
    changes_verdict: bool = True


_ACCEPTS = "accepts it"

MESSAGE = (
    Difference(
        "label-required",
        "content-specification 4.3.2 label",
        "a message without a label",
        _ACCEPTS + ": minOccurs is 0",
        _ACCEPTS,
        "reject, BV/invariant: the text says 1..1",
    ),
    Difference(
        "subjectlabel",
        "content-specification 4.3.2 label",
        "a label of the message of more than 256 characters",
        _ACCEPTS,
        "rejects it, its message begins with the detail code invariant",
        "reject, BV/structure: the codes that the text gives for this field",
        changes_verdict=False,
    ),
    Difference(
        "recipient-participant",
        "content-specification 4.3.2.1 recipientId",
        "a recipient that is no participant identifier",
        _ACCEPTS,
        _ACCEPTS + ": the pattern for it is never used",
        "reject, BV/invariant: the text wants the value checked in the message service",
    ),
    Difference(
        "sender-participant",
        "content-specification 4.3.2.2 senderId",
        "a sender that is no participant identifier",
        _ACCEPTS,
        _ACCEPTS + ": the pattern for it is never used",
        "reject, BV/invariant: the text wants the value checked in the message service",
    ),
    Difference(
        "sender-attention",
        "content-specification 4.3.2.2 attention",
        "a sender without a functional address",
        _ACCEPTS + ": minOccurs is 0",
        _ACCEPTS,
        "accept what comes, never send it: the table says 1..1, the outline of 4.3.2.3 says 0..1",
        changes_verdict=False,
    ),
    Difference(
        "reference-length",
        "content-specification 4.3.2.3 reference/referenceId",
        "a reference identifier of more than 256 characters",
        _ACCEPTS,
        _ACCEPTS,
        "reject, BV/invariant: the text says at most 256 characters",
    ),
    Difference(
        "document-content",
        "content-specification 4.3.3.1 documents",
        "a document with neither text nor file",
        _ACCEPTS + ": both have minOccurs 0",
        _ACCEPTS + ": the rule that the text says is there is not",
        "reject, BV/invariant",
    ),
    Difference(
        "document-index",
        "content-specification 4.3.3.1 Index",
        "several documents, not all numbered",
        _ACCEPTS,
        _ACCEPTS,
        "accept what comes, never send it: an instruction to the sender, with no rejection prescribed",
        changes_verdict=False,
    ),
    Difference(
        "contentFiles",
        "content-specification 4.3.3.3 content",
        "a file that is not base64",
        _ACCEPTS + ": the type is string",
        "looks at the first character only, and says that it should look at more (RFC 4648)",
        "reject, BV/invariant, by RFC 4648: also white space and line breaks (RFC 4648 3.3)",
    ),
    Difference(
        "timestamp-example",
        "content-specification 4.3.2 creationDateTime",
        "a time stamp without a fraction, as in the text's own example 2018-09-12T15:06:00Z",
        _ACCEPTS,
        "rejects it: one to three fraction digits",
        "reject, BV/invariant: the text's rejection #2 has the same pattern",
        changes_verdict=False,
    ),
    Difference(
        "conversation-id-missing",
        "content-specification 4.3.2 conversationId",
        "a message without conversationId, for which the text prescribes BV/invariant",
        "rejects it",
        "rejects it",
        "reject, SV/structure first, then BV/invariant: both have been broken",
        changes_verdict=False,
    ),
    Difference(
        "organisation-authority",
        "content-specification 5.1",
        "the attribute Authority, and the value 0203: of organisations in an unused pattern",
        "refuses the attribute",
        "never asks: no pattern uses it",
        "as the schema",
        changes_verdict=False,
    ),
    Difference(
        "character-sequence",
        "content-specification 4.3.3.2 characterSequence",
        "an assert that is no XPath, tns:characterSequence not null, in an unused pattern",
        "requires the element",
        "never asks: no pattern uses it",
        "as the schema",
        changes_verdict=False,
    ),
    Difference(
        "derived-type",
        "content-specification 5",
        "xsi:type that names a type derived from the element's own, such as xs:token for xs:string",
        _ACCEPTS,
        _ACCEPTS,
        "reject, SV/structure: an element has its own type; naming that is accepted",
    ),
    Difference(
        "extension-type",
        "content-specification 5",
        "an element of another namespace whose content breaks the type that its xsi:type names",
        "rejects it",
        _ACCEPTS,
        "accept: such elements are passed over unread",
    ),
    Difference(
        "size",
        "content-specification 4.3.3.3 content",
        "30 MB, without a word on which megabyte and before or after base64",
        _ACCEPTS,
        _ACCEPTS,
        "reject, BV/too-long, over 30 * 1024 * 1024 bytes of the whole message as XML",
    ),
)

RECEIPT = (
    Difference(
        "R1-APP",
        "message-receipt 3.4 R1-APP",
        "an element of UBL that the receipt does not use",
        "rejects it: the published schema is the reduced one",
        "rejects it",
        "invalid, SV/structure; BV/invariant only for what the reduced schema lets through",
        changes_verdict=False,
    ),
    Difference(
        "endpoint-scheme",
        "message-receipt 3.1 d, e",
        "an EndpointID of another scheme than iso6523-actorid-upis, or of an empty one",
        _ACCEPTS,
        _ACCEPTS + ": any schemeID will do",
        "invalid, BV/invariant: the text fixes the value, and forbids empty attributes",
    ),
    Difference(
        "endpoint-participant",
        "message-receipt 2.2",
        "an EndpointID that is no participant identifier",
        _ACCEPTS,
        _ACCEPTS,
        "invalid, BV/invariant: nobody can be looked up by it",
    ),
    Difference(
        "issue-instant",
        "message-receipt 3.1 c",
        "a time without time zone, or outside the years 1 to 9999",
        _ACCEPTS,
        _ACCEPTS,
        "invalid, BV/invariant: the text requires the zone; the rest is no time of a receipt",
    ),
    Difference(
        "R7-APP",
        "message-receipt 3.4 R7-APP",
        "reasons on a receipt whose code is ACCEPTED with white space around it",
        _ACCEPTS,
        "accepts it: compares without trimming here, with trimming in R5-APP",
        "invalid, BV/invariant: the code is the same to us everywhere",
    ),
    Difference(
        "R8-APP",
        "message-receipt 3.1 f",
        "no reason on a receipt whose code is REJECTED with white space around it",
        _ACCEPTS,
        "accepts it: compares without trimming here, with trimming in R5-APP",
        "invalid, BV/invariant: the code is the same to us everywhere",
    ),
)

ENVELOPE = (
    Difference(
        "R1-XHE",
        "envelope-profile-xhe 2.5 R1-XHE",
        "UUID, Payload/ID, ValidationVersionID, PayloadExternalReference, attributes other than schemeID",
        _ACCEPTS,
        _ACCEPTS + ": its list of elements outside the profile is not complete, and has no attributes",
        "invalid, BV/invariant: the text allows what the syntax mapping names; xsi:schemaLocation is passed",
    ),
    Difference(
        "R11-XHE",
        "envelope-profile-xhe 2.5 R11-XHE",
        "a ToParty identifier without schemeID, or of another scheme",
        _ACCEPTS,
        _ACCEPTS + ": the rule looks at FromParty, as R10-XHE does",
        "invalid, BV/invariant: the text means ToParty",
    ),
    Difference(
        "R14-XHE",
        "envelope-profile-xhe 2.5 R14-XHE",
        "a BusinessScopeCriterion twice, or one of another code",
        _ACCEPTS,
        _ACCEPTS + ": each code must be there, more may be",
        "invalid, BV/invariant: the syntax mapping says 5..5, each code once; two values would be ambiguous",
    ),
    Difference(
        "ID",
        "envelope-profile-xhe 2.2 xhb:ID",
        "an envelope identifier that is no UUID",
        _ACCEPTS,
        _ACCEPTS,
        "invalid, BV/invariant: the text requires the form",
    ),
    Difference(
        "CreationDateTime",
        "envelope-profile-xhe 2.2 xhb:CreationDateTime",
        "a time without time zone, or outside the years 1 to 9999, or at 24:00:00",
        _ACCEPTS,
        _ACCEPTS,
        "invalid, BV/invariant: the text requires the zone; the rest is no time that a message is made",
    ),
    Difference(
        "PartyIdentification",
        "codes-common 1.4",
        "a sender or recipient that is no participant identifier",
        _ACCEPTS,
        _ACCEPTS,
        "invalid, BV/invariant: nobody can be looked up by it",
    ),
    Difference(
        "value-length",
        "envelope-profile-xhe 2.2",
        "a value outside the payload of more than 4096 characters",
        _ACCEPTS,
        _ACCEPTS,
        "invalid, SV/structure: an access point reads headers in bounded memory",
    ),
    Difference(
        "signature-content",
        "envelope-profile-xhe 3.5",
        "what is inside ds:Signature",
        "checks it",
        "passes over it",
        "leave it to the verification, so that the sender gets the answer SIG instead of none",
    ),
    Difference(
        "payload-content",
        "envelope-profile-xhe 3.4.2",
        "elements of XHE, XML Signature or XAdES inside the payload or inside EncryptedData",
        "checks them where they stand",
        "passes over them",
        "leave them to who reads the payload; a broken EncryptedData cannot be decrypted",
    ),
    Difference(
        "several-signatures",
        "envelope-profile-xhe 2.2 ds:Signature",
        "more than one signature: 0..n, without a word on what a second one means",
        _ACCEPTS,
        _ACCEPTS,
        "a valid envelope, but not accepted as signed: one signature must cover everything",
    ),
)

ENVELOPE_OF_MESSAGE = (
    Difference(
        "HandlingServiceID",
        "content-specification 3.2 HandlingServiceID",
        "a message in an envelope without HandlingServiceID, which shall be the message's functional address",
        _ACCEPTS + ": minOccurs is 0",
        _ACCEPTS,
        "accept: the recipient must cope without it (envelope-profile-xhe 2.2), and TF-07 sends the fewest "
        "fields; where it differs, the message is rejected with BV/not-found and BV/security",
        changes_verdict=False,
    ),
    Difference(
        "payload-codes",
        "content-specification 3.2 DocumentTypeCode",
        "a DocumentTypeCode or ContentTypeCode other than that of an SDK message in XML",
        _ACCEPTS,
        _ACCEPTS,
        "a valid envelope; the message in it is rejected with BV/invariant: the text gives the values and no "
        "answer of their own. On the envelope of a receipt they are not looked at",
        changes_verdict=False,
    ),
)
"""Differences in what the envelope states of its SDK message; the profile decides on the envelope itself."""

EVERY_DOCUMENT = (
    Difference(
        "usable-xml",
        "message-receipt 2.1.2",
        "document type declarations, other encodings than UTF-8, nesting over 64, and a flood of markup",
        _ACCEPTS,
        _ACCEPTS,
        "refuse as unusable, without a receipt, as what is not well-formed: they serve attacks only",
    ),
)
