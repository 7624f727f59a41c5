"""Mutants that remove guards of an organisation's proofs and moves: evidence, keys and exports."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_EVIDENCE = "tests/roles/test_evidence.py"
_HOSTILE = "tests/unit/portability/test_hostile.py"
_GROUNDS = "tests/unit/evidence/test_grounds.py"
_CLOSING = "tests/unit/administration/test_closing.py"
_PAGES = "tests/unit/vault/portability/test_pages.py::test_a_page_has_many_records_only_while_they_are_small"
_SHARED_FILES = "tests/unit/vault/test_shared_files.py"
_SIGNATURES = "tests/unit/evidence/test_signatures.py"
_CRAFTED = "tests/unit/evidence/test_crafted_evidence.py"
_ENTRY = "tests/unit/evidence/test_proofs.py"
_ROTATION = "tests/roles/test_key_rotation.py"

PROOF = (
    Mutant(
        "evidence that lacks a receipt in its log does not hold",
        "evidence/verifying.py",
        "            yield Finding(name, False, why)\n            continue",
        "            continue",
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "a receipt in evidence is the one that the log commits to",
        "evidence/verifying.py",
        "same = said.kept.get(commitment) == said.digests[name]",
        "same = True",
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "evidence that lacks a digest in its log does not hold",
        "evidence/verifying.py",
        "yield Finding(where, digest is not None, why)",
        "yield Finding(where, True, why)",
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "evidence has all entries about its message that its section has",
        "evidence/verifying.py",
        'all of it", not left_out, first',
        'all of it", True, first',
        (f"{_EVIDENCE}::test_evidence_that_lacks_what_its_log_speaks_of_does_not_hold",),
    ),
    Mutant(
        "evidence of version 1 has as many receipts as its log",
        "evidence/verifying.py",
        "if there < len(named):",
        "if False:",
        (f"{_EVIDENCE}::test_evidence_of_version_1_that_lacks_a_receipt_does_not_hold",),
    ),
    Mutant(
        "a receipt outlives the message that a client deletes",
        "vault/sql/messageservice-7.sql",
        "        IF way = 'out' THEN\n            DELETE FROM work",
        "        DELETE FROM receipts r WHERE r.message = message AND r.direction <> way;\n"
        "        IF way = 'out' THEN\n            DELETE FROM work",
        (
            "tests/unit/vault/test_messageservice.py::"
            "test_a_deleted_message_is_gone_but_its_id_and_its_proof_stay",
        ),
    ),
    Mutant(
        "a key whose certificate SMP names is not destroyed",
        "cli/published.py",
        "if answer.value is not None and certificate in _certificates(answer.value):",
        "if False:",
        (f"{_ROTATION}::test_the_access_points_key_is_not_destroyed_while_smp_names_its_certificate",),
    ),
    Mutant(
        "a key is not destroyed while SMP cannot be asked",
        "cli/published.py",
        "            if answer.unknown:\n",
        "            if False:\n",
        ("tests/unit/cli/test_keys.py::test_a_certificate_is_requested_installed_and_the_old_one_retired",),
    ),
    Mutant(
        "a passphrase file that others can read opens nothing",
        "keystore/durablefiles.py",
        "_NOT_THE_OWNERS = 0o077",
        "_NOT_THE_OWNERS = 0",
        ("tests/unit/config/test_passphrase.py::test_a_file_that_others_can_read_or_write_opens_nothing",),
    ),
    Mutant(
        "a command that reads makes no key store",
        "keystore/unlocking.py",
        "        if not begin and not (folder / ROOT).exists()",
        "        if False and not (folder / ROOT).exists()",
        (
            "tests/unit/cli/test_no_key_store.py"
            "::test_a_command_that_reads_leaves_nothing_where_there_is_no_key_store",
        ),
    ),
    Mutant(
        "to take over, the export is named apart from the file",
        "portability/importing.py",
        "if order.take_over and order.digest is None:",
        "if False:",
        (f"{_HOSTILE}::test_an_older_export_is_not_taken_over",),
    ),
    Mutant(
        "an export is the one that was named",
        "portability/reading.py",
        "if sha256 is not None and self.sha256.hex() != sha256:",
        "if False:",
        (f"{_HOSTILE}::test_an_older_export_is_not_taken_over",),
    ),
    Mutant(
        "a line of an export has few values, or is short",
        "portability/layout.py",
        "            _check_line(line)\n",
        "",
        (f"{_HOSTILE}::test_a_line_of_many_values_is_refused_before_it_is_parsed",),
    ),
    Mutant(
        "an encrypted export has few recipients",
        "attestation/agefile.py",
        'if header.count(b"\\n-> ") > _MOST_STANZAS or not (end or whole):',
        "if False:",
        (f"{_HOSTILE}::test_a_header_of_many_recipients_is_refused_before_any_of_them_is_tried",),
    ),
    Mutant(
        "a certificate that no trusted issuer vouches for is called that",
        "cli/org/exports.py",
        "{'' if vouched else ': ' + NOT_VOUCHED_FOR}",
        "",
        ("tests/roles/test_moving.py::test_messages_receipts_and_logs_are_at_the_new_operator",),
    ),
    Mutant(
        "a digest that the log commits to is sealed",
        "vault/messagerows.py",
        'return sealer.seal(digest.salt + digest.sha256, f"digest {digest.commitment}")',
        "return digest.salt + digest.sha256",
        ("tests/separation/test_at_rest.py::test_no_planted_word_can_be_read_from_the_disk",),
    ),
    Mutant(
        "evidence that lacks what a certificate was judged by does not hold",
        "evidence/grounds.py",
        'if sha256(files.get(file, b"")).hexdigest() != each]',
        "if file not in files]",
        (f"{_GROUNDS}::test_what_was_left_out_or_changed_is_found",),
    ),
    Mutant(
        "what a certificate was judged by is what the entry names",
        "evidence/grounds.py",
        "    if document is None or sha256(document).hexdigest() != name:",
        "    if document is None:",
        (f"{_GROUNDS}::test_what_was_left_out_or_changed_is_found",),
    ),
    Mutant(
        "the certificate that was judged is the one in the entry",
        "evidence/grounds.py",
        'if entry.ids.get("certificate") != certificate.fingerprint(SHA256()).hex():',
        "if False:",
        (f"{_GROUNDS}::test_another_certificate_than_the_entry_names_does_not_pass",),
    ),
    Mutant(
        "the other organisation's certificate leads to those who are trusted",
        "evidence/grounds.py",
        "    if trust is not None and trusted is None and strict:",
        "    if False:",
        (f"{_GROUNDS}::test_a_chain_that_leads_to_nobody_who_is_trusted_does_not_hold",),
    ),
    Mutant(
        "a kept log is handed over as it was written, or not at all",
        "administration/keptlogs.py",
        "        if one.file is None or _state_of(one) is not KeptState.THERE:",
        "        if one.file is None:",
        (f"{_CLOSING}::test_a_kept_log_that_is_not_as_it_was_written_is_not_handed_over_nor_the_others",),
    ),
    Mutant(
        "a kept log is not handed over without a receipt",
        "administration/keptlogs.py",
        "            undone.callback(copy.unlink)",
        "            pass",
        (f"{_CLOSING}::test_without_a_receipt_no_copy_stays",),
    ),
    Mutant(
        "what the recipient's certificate was judged by is kept when a message is encrypted for it",
        "messageservice/outgoing/sender.py",
        "                    facts |= _recipient(vault, sealed, now)",
        "                    pass",
        ("tests/roles/test_evidence.py::test_both_ends_show_what_happened_with_receipts_that_hold",),
    ),
    Mutant(
        "a signature in evidence is the one that the entry names",
        "evidence/signatures.py",
        'if sha256(kept.get(file, b"")).hexdigest() != digest:',
        "if file not in kept:",
        (f"{_SIGNATURES}::test_what_was_left_out_or_changed_is_found",),
    ),
    Mutant(
        "a signature in evidence holds by the key of the certificate that the entry names",
        "evidence/signatures.py",
        "    if not holds(info, value, certificate):",
        "    if False:",
        (f"{_SIGNATURES}::test_a_signature_by_another_key_does_not_hold",),
    ),
    Mutant(
        "what is signed is the whole envelope",
        "evidence/signatures.py",
        "    if reference.uri:",
        "    if False:",
        (f"{_SIGNATURES}::test_what_is_signed_is_a_whole_envelope",),
    ),
    Mutant(
        "grounds in an export are those that the log names",
        "portability/layout.py",
        '            raise ValueError("what a certificate was judged by is not what is named in the log")',
        "            pass",
        (f"{_HOSTILE}::test_grounds_under_another_digest_are_refused",),
    ),
    Mutant(
        "a page of an export has few bytes",
        "vault/portability/parts.py",
        "WHERE total <= {PAGE_BYTES} OR total = bytes",
        "WHERE total IS NOT NULL",
        (_PAGES,),
    ),
    Mutant(
        "a large record has a page of an export for itself",
        "vault/portability/parts.py",
        " OR total = bytes",
        "",
        (_PAGES,),
    ),
    Mutant(
        "a page of an export counts the delivery of mail",
        "vault/portability/mailparts.py",
        "for name in contents]\n        found",
        "for name in contents[:1]]\n        found",
        (_PAGES,),
    ),
    Mutant(
        "a page of an export counts the steps of messages",
        "vault/portability/departure.py",
        "WHERE e.message = m.id AND e.direction = m.direction\n",
        "WHERE false\n",
        (_PAGES,),
    ),
    Mutant(
        "a page of an export counts grounds",
        "vault/portability/departure.py",
        '_plain(parts.grounds_part(Role.ACCESS_POINT), "octet_length(content)")',
        "_plain(parts.grounds_part(Role.ACCESS_POINT))",
        (_PAGES,),
    ),
    Mutant(
        "what is sealed of a message arrives sealed alone",
        "vault/portability/arrival.py",
        ' if name not in (*messagerows.DETAILS, "events")}',
        "}",
        (
            "tests/unit/vault/portability/test_pages.py"
            "::test_what_is_sealed_of_a_message_arrives_sealed_alone",
        ),
    ),
    Mutant(
        "an export that could not be read again fails",
        "portability/exporting.py",
        "        if len(page) > layout.MOST_PAGE:\n",
        "        if False:\n",
        ("tests/unit/portability/test_moving.py::test_an_export_that_could_not_be_read_again_fails",),
    ),
    Mutant(
        "the largest message fits in a page of an export",
        "portability/layout.py",
        "MOST_PAGE = 128 << 20",
        "MOST_PAGE = 64 << 20",
        ("tests/unit/portability/test_layout.py",),
    ),
    Mutant(
        "a body is removed when no other transaction adds a file with it",
        "vault/sql/mail-files-1.sql",
        "    PERFORM FROM bodies b WHERE b.id = stored FOR UPDATE;\n",
        "",
        (_SHARED_FILES,),
    ),
    Mutant(
        "a file that is forwarded keeps its body",
        "vault/sql/mail-files-1.sql",
        "b.id = $5 FOR KEY SHARE;",
        "b.id = $5;",
        (_SHARED_FILES,),
    ),
    Mutant(
        "a file without a body is not forwarded",
        "vault/sql/mail-files-1.sql",
        "        RAISE 'no such body' USING ERRCODE = 'SD404';\n",
        "        NULL;\n",
        (_SHARED_FILES,),
    ),
    Mutant(
        "a draft is removed when no other transaction removes a message of it",
        "vault/sql/mail-files-1.sql",
        "    PERFORM FROM drafts d WHERE d.id = ANY (sent) ORDER BY d.id FOR UPDATE;\n",
        "",
        (_SHARED_FILES,),
    ),
    Mutant(
        "the table of names has the people of governance",
        "portability/names.py",
        "            if isinstance(vault, People | MessageServiceVault):\n",
        "            if isinstance(vault, MessageServiceVault):\n",
        ("tests/unit/portability/test_names.py",),
    ),
    *(
        Mutant(
            f"a snapshot of a vault has no {limit}",
            "vault/portability/snapshot.py",
            f'    "SET LOCAL {limit} = 0",\n',
            "",
            (
                "tests/unit/vault/portability/test_snapshot.py"
                "::test_no_time_limit_of_the_vaults_login_ends_a_snapshot",
            ),
        )
        for limit in ("statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout")
    ),
    Mutant(
        "evidence: a signature by a key of an unknown kind does not hold",
        "attestation/signatures.py",
        "except (InvalidSignature, UnsupportedAlgorithm, ValueError):",
        "except (InvalidSignature, ValueError):",
        (f"{_CRAFTED}::test_a_signature_by_a_key_of_an_unknown_kind_does_not_hold",),
    ),
    Mutant(
        "evidence: a log is that of a role",
        "evidence/verifying.py",
        'if folder == "log" and name not in _LOG_FILES:',
        "if False:",
        (f"{_CRAFTED}::test_a_log_of_no_role_is_not_a_part_of_evidence",),
    ),
    Mutant(
        "evidence: a time of witnesses can be computed with",
        "evidence/verifying.py",
        "    except (ValueError, OverflowError, OSError):\n"
        '        return Finding(file, False, "its witnesses',
        '    except (ValueError, OSError):\n        return Finding(file, False, "its witnesses',
        (f"{_ENTRY}::test_a_time_that_cannot_be_computed_with_is_impossible",),
    ),
)
