"""Mutants that remove guards of sign-in by SAML: signature, recipient, time and person."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_SAML = "tests/unit/web/test_saml.py"
_BROKEN = f"{_SAML}::test_an_answer_that_is_not_right_begins_nothing"
_LONG = f"{_SAML}::test_how_long_ago_a_person_showed_who_they_are_is_checked"
_VALUE = f"{_SAML}::test_a_person_without_one_value_of_that_attribute_is_not_known"
_AGAIN = f"{_SAML}::test_an_answer_that_comes_again_begins_nothing"
_WRAPPING = f"{_SAML}::test_wrapping_of_a_signed_assertion"
_FLIPPED = f"{_SAML}::test_a_ciphertext_that_was_changed_does_not_open"
_METADATA = f"{_SAML}::test_metadata_that_are_not_right_begin_nothing"
_RUN_OUT = f"{_SAML}::test_metadata_that_run_out_while_they_are_kept_are_not_used"
_WHOLE = f"{_SAML}::test_a_signature_over_the_whole_document_is_not_one_of_saml"
_TWICE = f"{_SAML}::test_two_signatures_of_the_same_element_say_nothing"

SAML = (
    Mutant(
        "a SAML answer is for this address",
        "web/signin/saml/checks.py",
        "_require(response.destination == asked.answer, Fault.DESTINATION)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "a SAML answer is to the request of this browser",
        "web/signin/saml/checks.py",
        "    _require(_same(response.in_response_to, asked.identifier), Fault.REQUEST)\n",
        "",
        (_BROKEN,),
    ),
    Mutant(
        "a SAML answer names its issuer or none",
        "web/signin/saml/checks.py",
        "_require(response.issuer in (None, settings.entity), Fault.ISSUER_OF_ANSWER)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "a SAML answer says that the person was signed in",
        "web/signin/saml/checks.py",
        "response.status == SUCCESS and response.assertion is not None",
        "response.assertion is not None",
        (_BROKEN,),
    ),
    Mutant(
        "an assertion is encrypted where the organisation demands it",
        "web/signin/saml/checks.py",
        "_require(response.encrypted or not settings.encrypted, Fault.UNENCRYPTED)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "an assertion is the sign-in service's",
        "web/signin/saml/checks.py",
        "_require(assertion.issuer == settings.entity, Fault.ASSERTED_BY)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "an assertion is for us",
        "web/signin/saml/checks.py",
        "return bool(assertion.audiences) and all(service in each for each in assertion.audiences)",
        "return True",
        (_BROKEN,),
    ),
    Mutant(
        "every restriction of audiences names us",
        "web/signin/saml/checks.py",
        "all(service in each for each in assertion.audiences)",
        "any(service in each for each in assertion.audiences)",
        (_BROKEN,),
    ),
    Mutant(
        "an assertion is valid now",
        "web/signin/saml/checks.py",
        "_require(_within(assertion.not_before, assertion.not_on_or_after, now), Fault.PERIOD)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "a bearer is confirmed at this address",
        "web/signin/saml/checks.py",
        "one.recipient == asked.answer",
        "True",
        (_BROKEN,),
    ),
    Mutant(
        "a bearer is confirmed for this request",
        "web/signin/saml/checks.py",
        "and _same(one.in_response_to, asked.identifier)",
        "",
        (_BROKEN,),
    ),
    Mutant(
        "a bearer is confirmed for a while",
        "web/signin/saml/checks.py",
        "and one.not_on_or_after is not None\n        and _within(None, one.not_on_or_after, now)",
        "",
        (_BROKEN,),
    ),
    Mutant(
        "a bearer's confirmation has no beginning",
        "web/signin/saml/checks.py",
        "and one.not_before is None",
        "",
        (_BROKEN,),
    ),
    Mutant(
        "one statement says how the person signed in",
        "web/signin/saml/checks.py",
        "_require(len(assertion.authentications) == 1, Fault.STATEMENT)\n    (one,) =",
        "_require(len(assertion.authentications) > 0, Fault.STATEMENT)\n    one, *_ =",
        (_BROKEN,),
    ),
    Mutant(
        "the level of a SAML sign-in is one of the organisation's",
        "web/signin/saml/checks.py",
        "_require(one.level in settings.levels, Fault.LEVEL)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "a SAML sign-in is not too long ago",
        "web/signin/saml/checks.py",
        "_require(longest is None or now - one.at <= longest + SKEW, Fault.AUTHENTICATION_TIME)",
        "pass",
        (_LONG,),
    ),
    Mutant(
        "a SAML sign-in is not in the future",
        "web/signin/saml/checks.py",
        "_require(one.at <= now + SKEW, Fault.AUTHENTICATION_TIME)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "the service's session has not ended",
        "web/signin/saml/checks.py",
        "_require(_within(None, one.session_ends, now), Fault.PERIOD)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "a person is known by a name that stays",
        "web/signin/saml/checks.py",
        "name is not None and name.format == PERSISTENT",
        "name is not None",
        (_BROKEN,),
    ),
    Mutant(
        "a name is of the service's realm",
        "web/signin/saml/checks.py",
        "_require(name.qualifier in (None, settings.entity), Fault.SUBJECT)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "a name is for us",
        "web/signin/saml/checks.py",
        "_require(name.service_qualifier in (None, service), Fault.SUBJECT)",
        "pass",
        (_BROKEN,),
    ),
    Mutant(
        "a person has one name",
        "web/signin/saml/checks.py",
        "_require(len(names) == 1 and bool(names[0]), Fault.SUBJECT)",
        "names = (*names, 'x')",
        (_BROKEN,),
    ),
    Mutant(
        "a person is known by one value of the attribute",
        "web/signin/saml/checks.py",
        'subject = values[0] if len(values) == 1 else ""',
        'subject = values[0] if values else ""',
        (_VALUE,),
    ),
    Mutant(
        "one SAML sign-in begins one session",
        "web/signin/saml/flow.py",
        'self._sessions.mark("sign-in", identifier)',
        'self._sessions.mark("sign-in", str(id(person)))',
        (_AGAIN,),
    ),
    Mutant(
        "what nobody has signed is not read",
        "wire/saml/response.py",
        "if not signed and not response_signed:",
        "if False:",
        (_BROKEN,),
    ),
    Mutant(
        "the signature of an assertion is verified in a signed response too",
        "wire/saml/response.py",
        "read, signed = _verified(element, signers)\n    if not signed and",
        "read, signed = (element, False) if response_signed else _verified(element, signers)\n"
        "    if not signed and",
        (_BROKEN,),
    ),
    Mutant(
        "an answer has one assertion",
        "wire/saml/response.py",
        "if len(holders) > 1:",
        "if False:",
        (_BROKEN,),
    ),
    Mutant(
        "a version of SAML that is not known is refused",
        "wire/saml/response.py",
        "    check_version(read)\n",
        "",
        (_BROKEN,),
    ),
    Mutant(
        "a condition that is not known is refused",
        "wire/saml/assertion.py",
        "if any(child.tag not in _CONDITIONS for child in children(conditions)):",
        "if False:",
        (_BROKEN,),
    ),
    Mutant(
        "only who may signs",
        "wire/crypto/xmldsig/part.py",
        "if not any(signature.made_by(signer) for signer in signers):",
        "if False:",
        (_BROKEN,),
    ),
    Mutant(
        "a signature is over the element that has it",
        "wire/crypto/xmldsig/part.py",
        'reference.uri != f"#{identifier}"',
        "False",
        (_WHOLE,),
    ),
    Mutant(
        "an element is what was signed",
        "wire/crypto/xmldsig/part.py",
        "if not compare_digest(hashlib.sha256(signed).digest(), reference.digest):",
        "if False:",
        (_WRAPPING,),
    ),
    Mutant(
        "an element has one signature",
        "wire/crypto/xmldsig/part.py",
        "if len(found) != 1:",
        "if not found:",
        (_TWICE,),
    ),
    Mutant(
        "an assertion in AES-CBC is refused",
        "wire/crypto/xmlenc.py",
        "if cipher is None or not cipher.authenticated:\n        raise WireError",
        "if cipher is None:\n        raise WireError",
        (_BROKEN,),
    ),
    Mutant(
        "an assertion whose tag does not fit is not read",
        "wire/crypto/xmlenc.py",
        "            if decrypted.sound:\n                return decrypted.data\n    raise failed()",
        "            return decrypted.data\n    raise failed()",
        (_FLIPPED,),
    ),
    Mutant(
        "metadata are signed where that is demanded",
        "wire/saml/metadata.py",
        "if signers is not None:",
        "if False:",
        (_METADATA,),
    ),
    Mutant(
        "metadata that ran out are not used",
        "web/signin/saml/provider.py",
        '        if not found.valid(self._clock()):\n            raise ProviderUnavailable("the metadata',
        '        if False:\n            raise ProviderUnavailable("the metadata',
        (_RUN_OUT,),
    ),
)
