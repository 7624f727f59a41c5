"""Guards of the operator's tools: examinations that would overlook what is wrong."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_DOCTOR = "tests/roles/test_doctor.py"
_READS = (
    "tests/unit/cli/test_no_key_store.py"
    "::test_a_command_that_reads_leaves_nothing_where_there_is_no_key_store"
)
_TURNS = "tests/unit/administration/test_turns.py"
_SETUP = "tests/unit/operations/test_setup.py"
_HEALTH = "tests/unit/installation/test_health.py"
_CHECKLIST = "tests/unit/administration/test_checklist.py"
_TLS = "tests/unit/operations/test_tlsrules.py"

OPERATIONS = (
    Mutant(
        "the doctor sees that everybody may connect to the database",
        "operations/foundation.py",
        "    if facts.everybody_connects:\n",
        "    if False:\n",
        (f"{_DOCTOR}::test_rights_that_everybody_was_given",),
    ),
    Mutant(
        "the doctor sees that others read a passphrase",
        "operations/places.py",
        "    if mode & denied:\n",
        "    if False:\n",
        (f"{_DOCTOR}::test_a_passphrase_that_others_read",),
    ),
    Mutant(
        "the doctor sees a login with other rights than its own",
        "operations/foundation.py",
        "    if facts.disordered:\n",
        "    if False:\n",
        (f"{_DOCTOR}::test_a_login_that_was_given_more_than_its_own",),
    ),
    Mutant(
        "the doctor judges certificates by the issuers that clients trust",
        "operations/tlsrules.py",
        "    context.load_verify_locations(target.issuers or certifi.where())\n",
        "    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n",
        (f"{_TLS}::test_a_certificate_of_another_name_or_issuer",),
    ),
    Mutant(
        "a new installation replaces nothing that is there",
        "cli/init.py",
        "    if folder.exists() and any(folder.iterdir()):\n",
        "    if False:\n",
        (f"{_SETUP}::test_nothing_that_is_there_is_replaced",),
    ),
    Mutant(
        "what goes into a new installation's files is checked",
        "operations/setup.py",
        "            if not form.fullmatch(getattr(self, name)):\n",
        "            if False:\n",
        (f"{_SETUP}::test_an_answer_that_cannot_be_used",),
    ),
    Mutant(
        "commands that change an installation go in turn",
        "administration/turns.py",
        "            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "            pass\n",
        (f"{_TURNS}::test_one_waits_for_another_says_which_and_goes_on_when_that_is_killed",),
    ),
    Mutant(
        "an outage writes one line, however often it is met",
        "installation/health.py",
        "            if logs and (before is None or before.gone_since is None):\n",
        "            if logs:\n",
        (f"{_HEALTH}::test_a_change_writes_one_line_and_what_stays_none",),
    ),
    Mutant(
        "an organisation that nobody serves is not ready",
        "administration/checklist.py",
        "        elif role in facts.served.value:\n",
        "        elif True:\n",
        (f"{_CHECKLIST}::test_who_is_not_served_in_a_role_is_not_ready",),
    ),
    Mutant(
        "an examination makes no key store",
        "operations/foundation.py",
        "asyncio.to_thread(open_keys, settings)",
        "asyncio.to_thread(lambda: open_keys(settings, begin=True))",
        (_READS,),
    ),
)
