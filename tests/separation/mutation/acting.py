"""The guards of who acts at the operator's command line, each as the mutant that lacks it."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PROVING = "tests/unit/cli/test_proving.py"
_NOBODY = f"{_PROVING}::test_nobody_acts_in_the_name_of_another"

ACTING = (
    Mutant(
        "a command is signed by a key of the one whom it names",
        "administration/staff.py",
        '        raise NotOfTheStaff(StaffFault.SIGNATURE, f"{why} {who.name}, and -n {NAMESPACE}")\n',
        "        pass\n",
        (_NOBODY,),
    ),
    Mutant(
        "a signature for something else than a command proves none",
        "administration/staff.py",
        "if not any(found.namespace == NAMESPACE and found.present for found in held):",
        "if not any(found.present for found in held):",
        (_NOBODY,),
    ),
    Mutant(
        "a name that nobody of the staff has runs no command",
        "administration/staff.py",
        "    if found is None:\n        text =",
        "    if found is None:\n        return next(iter(staff))\n        text =",
        (_NOBODY,),
    ),
    Mutant(
        "a service's key proves its own commands alone",
        "administration/staff.py",
        "if found.commands and command not in found.commands:",
        "if False:",
        (f"{_PROVING}::test_a_service_proves_its_own_commands_and_no_other",),
    ),
    Mutant(
        "who was refused is in the operator's log",
        "cli/proving.py",
        "            run(_record(config, name, command, refused.fault))\n",
        "",
        (_NOBODY,),
    ),
    Mutant(
        "a key proves one person",
        "config/staff.py",
        '        yield "staff", "has a key twice: each is one person\'s"\n',
        "        pass\n",
        (f"{_PROVING}::test_keys_that_would_prove_too_much_or_nothing_are_refused",),
    ),
)
