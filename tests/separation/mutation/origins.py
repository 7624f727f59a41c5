"""Mutants that remove guards of the roles whose pages people open in a browser."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_ORIGINS = "tests/unit/net/test_origins.py"
_FRONT = "tests/unit/processes/test_front.py"
_CLOSING = "tests/unit/administration/test_closing.py"
_KILLED_CLOSING = f"{_CLOSING}::test_a_closing_that_was_killed_while_it_removed_a_vault_goes_on"
_MOVING = "tests/unit/vault/portability/test_moving.py"

ORIGINS = (
    Mutant(
        "a host that is nobody's is answered as what does not exist",
        "net/origins.py",
        "found = applications.get(host_named(scope))",
        "found = applications.get(host_named(scope)) or next(iter(applications.values()))",
        (_ORIGINS,),
    ),
    Mutant(
        "a request that names two hosts names none",
        "net/origins.py",
        "if len(named) == 1 else None",
        "if named else None",
        (_ORIGINS,),
    ),
    Mutant(
        "the front leads persons to the worker of the host that they name",
        "processes/front.py",
        "organisation = self._hosts()[door].get(host_named(scope))",
        "organisation = next(iter(self._hosts()[door].values()))",
        (_FRONT,),
    ),
    Mutant(
        "a host is one organisation's in one role",
        "config/reader.py",
        "            if host in seen:\n",
        "            if False:\n",
        ("tests/unit/config/test_reader.py",),
    ),
    Mutant(
        "a wildcard in a certificate stands for one label",
        "wire/crypto/certificates.py",
        """f"*.{host.partition('.')[2]}" in found""",
        """any(host.endswith(name.removeprefix("*")) for name in found)""",
        ("tests/unit/net/test_tls.py",),
    ),
    Mutant(
        "a worker of a role runs only where the configuration names the role",
        "processes/supervisor.py",
        "(one.role is Role.ACCESS_POINT or (one.organisation, one.role) in named)",
        "one.role in Role",
        ("tests/unit/processes/test_supervisor.py",),
    ),
    Mutant(
        "public records that were not handed over keep an organisation from being closed",
        "administration/closing.py",
        "    if kept and not order.also_not_handed_over:\n",
        "    if False:\n",
        (_CLOSING,),
    ),
    Mutant(
        "a closing that goes on looks into no vault",
        "administration/closing.py",
        "    left = [one for one in await provisioner.registrations() if one.organisation == organisation]\n",
        "    left = await provisioner.closings.stock(organisation)\n",
        (_KILLED_CLOSING,),
    ),
    Mutant(
        "a closing that goes on ends no sessions in a vault that may be gone",
        "vault/provision.py",
        "            ends = role in WITH_SESSIONS and state is not RegistrationState.CLOSING",
        "            ends = role in WITH_SESSIONS",
        (_KILLED_CLOSING,),
    ),
    Mutant(
        "a vault that is closing is not put in order, nor its database missed",
        "vault/inorder.py",
        "    for each in (each for each in vaults if not each.closing):\n",
        "    for each in vaults:\n",
        (_KILLED_CLOSING,),
    ),
    Mutant(
        "a vault that is closing is not counted as out of order",
        "vault/inorder.py",
        "    vaults = [each for each in await hosted(connection) if not each.closing]\n",
        "    vaults = await hosted(connection)\n",
        (_KILLED_CLOSING,),
    ),
    Mutant(
        "two persons agree in so many words that public records are destroyed",
        "administration/closing.py",
        "(self.also_not_handed_over, ",
        "(False, ",
        (_CLOSING,),
    ),
    Mutant(
        "the check tries every role in which an organisation is hosted",
        "isolationcheck/check.py",
        "return tuple(role for role in Role if role in hosted)",
        "return (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)",
        ("tests/roles/test_isolation_check.py::test_each_role_that_is_hosted_is_tried",),
    ),
    Mutant(
        "a vault of a role that came after the officer is told to open without one",
        "administration/checklist.py",
        "facts.locked and role not in facts.locked",
        "False",
        ("tests/unit/administration/test_checklist.py",),
    ),
    Mutant(
        "two installations share no host",
        "installation/conflicts.py",
        "    if one.hosts & other.hosts:\n",
        "    if False:\n",
        ("tests/unit/installation/test_conflicts.py",),
    ),
    Mutant(
        "an export arrives in no message client that keeps something",
        "vault/sql/people-arrival-1.sql",
        "SELECT NOT EXISTS (SELECT FROM records) AND NOT",
        "SELECT true OR NOT",
        (f"{_MOVING}::test_nothing_arrives_in_a_vault_that_has_something",),
    ),
    Mutant(
        "an export arrives in no governance vault that keeps something",
        "vault/sql/officers-1.sql",
        "SELECT NOT EXISTS (SELECT FROM records) AND NOT",
        "SELECT true OR NOT",
        (f"{_MOVING}::test_nothing_arrives_in_a_vault_that_has_something",),
    ),
    Mutant(
        "records arrive while an arrival is under way alone",
        "vault/sql/records-arrival-1.sql",
        "    PERFORM _arriving();\n    INSERT",
        "    INSERT",
        (f"{_MOVING}::test_nothing_arrives_before_it_begins_or_after_it_ended",),
    ),
)
