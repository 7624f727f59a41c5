"""Mutants that remove guards of interface A."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_VERDICT = "tests/unit/accesspoint/test_verdict.py"
_OUTBOUND = "tests/unit/accesspoint/test_outbound.py"
_INSPECTION = "tests/unit/wire/as4/test_inspection.py"
_PAYLOAD = "tests/unit/wire/as4/test_payload.py"
_GZIP = "tests/unit/wire/test_gzip.py"
_MIME = "tests/unit/wire/mime/test_reader.py"
_FROM_THE_HEADER = f"{_VERDICT}::test_ebms3_core_6_an_error_is_read_from_the_header_and_the_body_is_ignored"

INTERFACE_A = (
    Mutant(
        "a message has no security timestamp unless its profile does",
        "accesspoint/outbound.py",
        "created=created if route.profile.security_timestamp else None",
        "created=created",
        (f"{_OUTBOUND}::test_2_2_a_security_timestamp_is_sent_where_the_profile_has_one_and_nowhere_else",),
    ),
    Mutant(
        "a security timestamp is for the peers that the operator names",
        "accesspoint/route.py",
        "party in self._settings.timestamp_peers",
        "bool(self._settings.timestamp_peers)",
        (
            "tests/unit/accesspoint/test_route.py"
            "::test_2_2_one_peer_gets_a_security_timestamp_where_the_operator_says_so",
        ),
    ),
    Mutant(
        "a user message has nothing in its Body",
        "wire/as4/header.py",
        "    require_empty_body(document)\n",
        "",
        ("tests/unit/wire/as4/test_wrapping.py::test_content_in_the_body_is_refused",),
    ),
    Mutant(
        "the Body of a signal is ignored",
        "wire/wssec/verifying.py",
        "    messaging, security = _blocks(header)\n",
        "    messaging, security = _blocks(header)\n"
        '    if children(body):\n        raise _malformed("not empty", "Body")\n',
        (_FROM_THE_HEADER,),
    ),
    Mutant(
        "NOT_SERVICED ends a transfer at once",
        "accesspoint/verdict.py",
        "if any(error.detail.strip() == NOT_SERVICED for error in errors):",
        "if False:",
        (_FROM_THE_HEADER,),
    ),
    Mutant(
        "a security timestamp is judged against the clock",
        "accesspoint/agreement.py",
        "if expires is not None and expires < now - tolerance:",
        "if False:",
        ("tests/unit/accesspoint/test_freshness.py",),
    ),
    Mutant(
        "a captured header is valid where all of it is signed",
        "wire/as4/inspection.py",
        "        require_coverage(document, signature)\n",
        "",
        (f"{_INSPECTION}::test_a_header_that_is_not_signed_whole_is_invalid",),
    ),
    Mutant(
        "a captured payload is valid where it is signed",
        "wire/as4/inspection.py",
        'if signature.attachment_digest(attachment_id(href) or "") is None:',
        "if False:",
        (f"{_INSPECTION}::test_a_payload_that_is_not_signed_is_invalid",),
    ),
    Mutant(
        "a captured attachment is compared with what was signed",
        "wire/as4/inspection.py",
        "elif not _has_digest(content, reference.digest):",
        "elif False:",
        (f"{_INSPECTION}::test_an_attachment_that_is_encrypted_well_and_signed_by_nobody_is_invalid",),
    ),
    Mutant(
        "a capture without its attachment is not valid",
        "wire/as4/inspection.py",
        "if stored is None and (self.captured.multipart or not encrypted):",
        "if False:",
        (f"{_INSPECTION}::test_an_attachment_that_is_missing_is_invalid",),
    ),
    Mutant(
        "no captured payload is opened whose signature does not hold",
        "wire/as4/inspection.py",
        "if keys and signature.state is SignatureState.VALID",
        "if keys",
        (f"{_INSPECTION}::test_a_changed_header_or_body_is_invalid_also_where_the_attachment_is_unchecked",),
    ),
    Mutant(
        "a plugin user of a Domibus asks without a recipient",
        "domibus/plugin.py",
        "domibus.list_pending() if self._login else domibus.list_pending(recipient)",
        "domibus.list_pending(recipient)",
        ("tests/unit/domibus/test_inbox.py::test_a_plugin_user_asks_for_what_waits_without_a_recipient",),
    ),
    Mutant(
        "the transport profile whose text is known is preferred",
        "wire/profile.py",
        "(AS4_1_0, AS4_1_2)",
        "(AS4_1_2, AS4_1_0)",
        ("tests/unit/config/test_reader.py",),
    ),
    Mutant(
        "message properties have the type of the transport profile",
        "wire/as4/usermessage.py",
        "Property(FINAL_RECIPIENT, final_recipient, profile.property_type)",
        'Property(FINAL_RECIPIENT, final_recipient, "iso6523-actorid-upis")',
        ("tests/unit/accesspoint/test_facts.py",),
    ),
    Mutant(
        "the log names the roles that came",
        "accesspoint/facts.py",
        "if (message.from_role, message.to_role) == (profile.initiator_role, profile.responder_role):",
        "if True:",
        ("tests/unit/accesspoint/test_facts.py",),
    ),
    Mutant(
        "the limit of a part header does not depend on how the body is cut",
        "wire/mime.py",
        "len(header) - len(HEADER_END) + 1)",
        "len(header))",
        (f"{_MIME}::test_the_limit_of_a_part_header_is_the_same_in_any_pieces",),
    ),
    Mutant(
        "an encrypted part header over the limit is not accepted in one piece",
        "wire/as4/reader.py",
        "        if not within:\n",
        "        if not within and end < 0:\n",
        (f"{_PAYLOAD}::test_the_limit_of_an_encrypted_part_header_is_the_same_in_any_pieces",),
    ),
    Mutant(
        "a gzip bomb is refused whatever follows in the same piece",
        "wire/gzip.py",
        "block = data[: _BLOCK - self._taken % _BLOCK]",
        "block = data[:_PIECE]",
        (f"{_GZIP}::test_a_bomb_is_refused_even_if_noise_that_follows_in_the_same_piece_makes_up_for_it",),
    ),
    Mutant(
        "the words of a peer steer no terminal",
        "accesspoint/verdict.py",
        'each if each.isprintable() else "\\ufffd"',
        "each",
        (f"{_VERDICT}::test_the_words_of_a_peer_are_one_line_that_steers_no_terminal",),
    ),
)
