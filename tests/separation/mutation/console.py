"""Guards of the operator's console: who signs in, who is shown a page, and whose queue an address names."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PAGES = "tests/unit/console/test_pages.py"
_SEPARATION = "tests/separation/test_every_console_page.py"

CONSOLE = (
    Mutant(
        "only the operator's staff sign in to the console",
        "console/staff.py",
        "        if name is None:\n            raise SignInFailed(Fault.PERSON)\n",
        '        name = name or ""\n',
        (
            f"{_PAGES}::test_one_of_the_staff_signs_in_and_another_person_does_not",
            f"{_SEPARATION}::test_a_person_who_is_not_of_the_staff_gets_no_session",
        ),
    ),
    Mutant(
        "a sign-in to the console makes one session",
        "console/staff.py",
        "        if session.sign_in in self._sign_ins:\n            return False\n",
        "",
        (f"{_PAGES}::test_a_sign_in_that_is_replayed_begins_no_second_session",),
    ),
    Mutant(
        "the console's pages are for people who are signed in",
        "console/frame.py",
        "        if name is None:\n            raise NotSignedIn\n",
        '        name = name or ""\n',
        (f"{_SEPARATION}::test_nobody_but_the_staff_sees_or_changes_anything",),
    ),
)
