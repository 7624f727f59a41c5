"""Mutants that remove guards against peers, responders and addresses."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_DECIDE = "tests/unit/trust/test_decide.py"
_PUBLISHED = "tests/unit/trust/test_published.py"
_TRUST = "tests/unit/net/test_trustfolder.py"
_CERTIFICATES = "tests/unit/net/test_certificates.py"
_ADDRESSES = (
    "tests/unit/net/test_addresses.py::test_an_address_that_leads_into_a_private_network_is_not_public"
)
_SERVER = "tests/unit/net/test_server.py"

PEERS = (
    Mutant(
        "a good answer never wins over a list that revokes",
        "trust/decide.py",
        "        or _listed(chain, policy, evidence, at)\n",
        "",
        (f"{_DECIDE}::test_a_good_answer_never_wins_over_a_list_that_revokes",),
    ),
    Mutant(
        "a list that was fetched before is evidence",
        "net/certificates.py",
        "for kept in self._source.kept_lists(certificate)]",
        "for kept in ()]",
        (f"{_CERTIFICATES}::test_a_list_that_was_fetched_before_is_believed_rather_than_an_older_answer",),
    ),
    Mutant(
        "certificates of issuers without their root are accepted beside those of issuers with theirs",
        "trust/chain.py",
        "    return (*below, *alone) if below else ()\n",
        "    return below\n",
        (f"{_TRUST}::test_issuers_with_and_without_their_root_may_stand_side_by_side",),
    ),
    Mutant(
        "no other certificate of a root makes it an issuer below itself",
        "trust/chain.py",
        "if not issued(each, each) and any(",
        "if any(other != each and ",
        (f"{_DECIDE}::test_a_root_that_was_renewed_with_its_key_stays_an_anchor",),
    ),
    Mutant(
        "of an issuer's certificates the one that is valid counts",
        "trust/chain.py",
        "    if at is not None:\n",
        "    if False:\n",
        (f"{_DECIDE}::test_an_issuer_that_was_renewed_with_its_key_is_trusted_before_and_after",),
    ),
    Mutant(
        "a list of an issuer without its root is evidence",
        "trust/decide.py",
        "    if verdict is not None and verdict.temporary and not anchor.self_issued:\n",
        "    if False:\n",
        (f"{_DECIDE}::test_2_10_b_an_issuer_without_its_root_says_itself_which_certificates_are_revoked",),
    ),
    Mutant(
        "a certificate for another use is not a peer's",
        "trust/decide.py",
        "isinstance(usage.value, x509.ExtendedKeyUsage) and not policy.extended_uses & {*usage.value}",
        "False",
        (f"{_DECIDE}::test_a_certificate_that_signs_revocation_answers_is_not_a_peers",),
    ),
    Mutant(
        "an unsigned answer about revocation is not kept",
        "trust/published.py",
        "answer.serial_number != certificate.serial_number or not _vouched(answer, issuer)",
        "answer.serial_number != certificate.serial_number",
        (f"{_PUBLISHED}::test_an_answer_that_the_issuer_does_not_vouch_for_is_not_kept",),
    ),
    Mutant(
        "an address that is translated into a private one is not public",
        "net/addresses.py",
        "all(map(_is_global, _translated_to(parsed))) and (parsed in _NAT64 or _is_global(parsed))",
        "parsed in _NAT64 or _is_global(parsed)",
        (_ADDRESSES,),
    ),
    Mutant(
        "a site-local or compatible address is not public",
        "net/addresses.py",
        "if parsed.is_site_local or any(parsed in network for network in _NEVER_PUBLIC):",
        "if False:",
        (_ADDRESSES,),
    ),
    Mutant(
        "only HTTP/1 is spoken",
        "net/server.py",
        "if self.parser.get_http_version() not in _VERSIONS:",
        "if False:",
        (f"{_SERVER}::test_only_http_1_is_spoken",),
    ),
    Mutant(
        "an offer of another protocol does not end a request",
        "net/server.py",
        'return self.should_upgrade() and self.get_method() != b"CONNECT"',
        "return False",
        (f"{_SERVER}::test_an_offer_of_another_protocol_leaves_body_and_end_of_a_request_where_they_are",),
    ),
)
