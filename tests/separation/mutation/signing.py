"""Mutants that remove guards of signed statements, their keys and their record."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_ENROLMENT = "tests/unit/rights/test_enrolment.py"
_RECORD = "tests/unit/rights/test_record.py"
_SSHSIG = "tests/unit/wire/crypto/test_sshsig.py"
_WEBAUTHN = "tests/unit/wire/test_webauthn.py"
_RECORDS = "tests/unit/governance/test_records.py"


def _without(guard: str, file: str, text: str, *tests: str, instead: str = "") -> Mutant:
    return Mutant(f"signed statements: {guard}", file, text, instead, tests)


SIGNING = (
    _without(
        "another person's key signs nothing",
        "rights/signing.py",
        "        if enrolment.act.to != statement.by:\n            return Refusal.OTHERS_KEY\n",
        _RECORD,
    ),
    _without(
        "a key that is not in force signs nothing",
        "rights/signing.py",
        "        if not enrolment.in_force(statement.at):\n            return Refusal.KEY_OVER\n",
        _ENROLMENT,
    ),
    _without(
        "a code on paper does one thing",
        "rights/signing.py",
        "    if key.scheme is Scheme.PAPER and not isinstance(statement.act, Enrolled):\n"
        "        return Refusal.CODE_SPENT\n",
        _ENROLMENT,
    ),
    _without(
        "an authenticator does not count backwards",
        "rights/signing.py",
        "    if (found or before) and found <= before:\n        return Refusal.COUNTER\n",
        _RECORD,
    ),
    _without(
        "a signature is for one kind of statement",
        "rights/signing.py",
        "    if found.namespace != namespace(signed.statement):\n        return Refusal.NAMESPACE\n",
        _RECORD,
    ),
    _without(
        "a statement is neither backdated nor of the future",
        "rights/record.py",
        "        if not timely(signed.statement, now):\n            return Refusal.EXPIRED\n",
        _RECORD,
    ),
    _without(
        "a second has room for so many statements",
        "rights/record.py",
        "        if self._crowds(signed.statement):\n            return Refusal.CROWDED\n",
        _RECORD,
    ),
    _without(
        "another organisation's statement is refused",
        "rights/record.py",
        "        if statement.organisation != self.organisation:\n"
        "            return Refusal.OTHER_ORGANISATION, None\n",
        _RECORD,
    ),
    _without(
        "a statement counts once",
        "rights/record.py",
        "        if statement.digest in self._digests:\n            return Refusal.REPEATED, None\n",
        _RECORD,
    ),
    _without(
        "custodians wait while a person has a key",
        "rights/record.py",
        "        if self._beyond_custodians(statement):\n            return Effect.NO_AUTHORITY\n",
        _ENROLMENT,
    ),
    _without(
        "custodians open no review while a person has a key",
        "rights/record.py",
        " | ReviewOpened)\n\n    def _asked",
        _ENROLMENT,
        instead=")\n\n    def _asked",
    ),
    _without(
        "one who is custodian and officer is not two for a key",
        "rights/enrolment.py",
        "same_person(by, asked.statement.by) or same_person(by, asked.act.to)",
        _ENROLMENT,
        instead="by in (asked.statement.by, asked.act.to)",
    ),
    _without(
        "one who is custodian and officer is not two for a role",
        "rights/folding.py",
        "any(same_person(by, each) for each in (asked.by, *asked.act.receivers))",
        _ENROLMENT,
        instead="by in (asked.by, *asked.act.receivers)",
    ),
    _without(
        "a role that custodians give begins a week later",
        "rights/record.py",
        "                return given.start < statement.at + WAITING_TIME\n",
        _ENROLMENT,
        instead="                return given.start < statement.at\n",
    ),
    _without(
        "custodians approve nothing that was asked for long ago",
        "rights/record.py",
        "                return self._asked_long_ago(of, statement)\n",
        _ENROLMENT,
        instead="                return of == ''\n",
    ),
    _without(
        "a key that custodians enrol begins a week later",
        "rights/enrolment.py",
        "        begins = at + WAITING_TIME if waits else at\n",
        _ENROLMENT,
        instead="        begins = at\n",
    ),
    _without(
        "custodians end no key that a person has",
        "rights/enrolment.py",
        "                begun and named.act.to.kind is SubjectKind.PERSON\n",
        _ENROLMENT,
        instead="                begun and named.act.to.kind is SubjectKind.CUSTODIAN\n",
    ),
    _without(
        "nobody approves their own key",
        "rights/enrolment.py",
        "        if same_person(by, asked.statement.by) or same_person(by, asked.act.to):\n"
        "            return Effect.SELF, None\n",
        _ENROLMENT,
    ),
    _without(
        "a key is one person's, and a lost one nobody's",
        "rights/enrolment.py",
        "            if known.lost_since is not None or known.act.to != act.to or held:\n"
        "                return Effect.KEY_TAKEN, None\n",
        _ENROLMENT,
    ),
    _without(
        "a code on paper serves once",
        "rights/enrolment.py",
        "served = statement.at if each.key.scheme is Scheme.PAPER and not each.over else each.ended",
        _ENROLMENT,
        instead="served = each.ended",
    ),
    _without(
        "a custodian states no key but their own",
        "rights/enrolment.py",
        "            own = by == act.to and signed_with == fingerprint\n",
        _ENROLMENT,
        instead="            own = True\n",
    ),
    _without(
        "an SSH signature is over the statement",
        "wire/crypto/sshsig.py",
        "    if kind != key.kind.encode() or not _holds(key, value, signed):\n        return None\n",
        _SSHSIG,
    ),
    _without(
        "an SSH signature names its key",
        "wire/crypto/sshsig.py",
        "    if public != key.blob:\n        return None\n",
        _SSHSIG,
    ),
    _without(
        "a security key was touched",
        "wire/crypto/sshsig.py",
        " and found.present\n",
        _SSHSIG,
        instead="\n",
    ),
    _without(
        "an assertion is over the statement that was shown",
        "wire/webauthn.py",
        "            return AssertionFault.CHALLENGE\n",
        _WEBAUTHN,
        instead="            pass\n",
    ),
    _without(
        "an assertion was made on our site",
        "wire/webauthn.py",
        "            return AssertionFault.ORIGIN\n",
        _WEBAUTHN,
        instead="            pass\n",
    ),
    _without(
        "an authenticator answers our site",
        "wire/webauthn.py",
        "            return AssertionFault.SITE\n",
        _WEBAUTHN,
        instead="            pass\n",
    ),
    _without(
        "an authenticator has asked who the person is",
        "wire/webauthn.py",
        "            return AssertionFault.NOT_VERIFIED\n",
        _WEBAUTHN,
        instead="            pass\n",
    ),
    _without(
        "an assertion is signed",
        "wire/webauthn.py",
        "            return AssertionFault.SIGNATURE\n",
        _WEBAUTHN,
        instead="            pass\n",
    ),
    _without(
        "a custodian is one that the installation knows",
        "governance/records.py",
        "                if verdict in GOOD and not _is_known(each, roots):\n"
        "                    verdict = Refusal.UNKNOWN_KEY\n",
        _RECORDS,
    ),
    _without(
        "a copy that has something else is not continued",
        "governance/records.py",
        "                    if here and here != await office.signed_statements_after(last - 1, 1):\n"
        "                        return False\n",
        _RECORDS,
    ),
    _without(
        "every statement that is stored is an entry of the log",
        "vault/signedstatements.py",
        "            self.record(VaultEvent.GOV_STATEMENT_KEPT, statement=str(one.number), sha256=digest, "
        "**facts)\n",
        _RECORDS,
    ),
    _without(
        "a number is taken once and leaves no gap",
        "vault/sql/signed-statements-1.sql",
        "    IF $1 <> (SELECT coalesce(max(s.number), 0) + 1 FROM signed_statements s) THEN\n"
        "        RETURN false;\n    END IF;\n",
        _RECORDS,
    ),
    _without(
        "a message client decides nothing from a copy that does not hold",
        "messageclient/permissions.py",
        "        except Broken as broken:\n"
        "            raise RightsBehind(record.number, broken.number) from None\n",
        "tests/unit/messageclient/test_signed_rights.py",
        instead="        except Broken:\n            pass\n",
    ),
    _without(
        "a record in governance that does not hold is not read",
        "governance/records.py",
        "        except Broken as broken:\n            raise RecordBroken(broken) from None\n",
        _RECORDS,
        instead="        except Broken:\n            pass\n",
    ),
    _without(
        "signed statements that are stated elsewhere count in a message client",
        "messageclient/permissions.py",
        "            copy.include(record.statements(), settled_in(record))\n",
        "tests/unit/messageclient/test_signed_rights.py",
        instead="            pass\n",
    ),
    Mutant(
        "who reads an organisation's signed statements is in its log first",
        "cli/gov/basis.py",
        'await record_command(installation, f"gov {command}", who, organisation, (Role.GOVERNANCE,))',
        "pass",
        (
            "tests/unit/cli/test_gov_signing.py"
            "::test_who_reads_the_record_and_why_is_in_the_organisations_log_first",
        ),
    ),
)
