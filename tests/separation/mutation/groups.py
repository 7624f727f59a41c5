"""Mutants that remove guards of directory groups."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_PURE = "tests/unit/rights/test_groups.py"
_GOVERNED = "tests/unit/governance/test_groups.py"
_LDAP = "tests/unit/net/test_ldap.py"
_ANSWERS = "tests/unit/net/test_ldapanswers.py"
_LIES = "tests/unit/net/test_lying_ldap.py"
_KEPT = "tests/unit/installation/test_directories.py"
_READER = "tests/unit/config/test_reader.py"

GROUPS = (
    Mutant(
        "groups: nobody has by a group what they gave or approved",
        "rights/folding.py",
        "                if not same_person(self.author(holding), person):\n"
        "                    yield holding, digest",
        "                yield holding, digest",
        (f"{_PURE}::test_nobody_has_by_a_group_what_they_gave_or_approved",),
    ),
    Mutant(
        "groups: nobody answers in a review for what a group has in which they are",
        "rights/memberships.py",
        "        return subject == person or any(group == subject for group, _ in self.of(person, moment))",
        "        return subject == person",
        ("tests/unit/rights/test_reviews.py::test_nobody_answers_for_what_a_group_has_in_which_they_are",),
    ),
    Mutant(
        "groups: who has left has nothing by the group",
        "rights/memberships.py",
        "            if turn is not None and turn[1]:\n                yield group, turn[0]",
        "            if turn is not None:\n                yield group, turn[0]",
        (f"{_PURE}::test_who_is_gone_from_a_full_answer_has_nothing_from_that_second_on",),
    ),
    Mutant(
        "groups: who comes and goes in one second has gone",
        "rights/memberships.py",
        "    return at, not came, digest",
        "    return at, came, digest",
        (f"{_PURE}::test_who_comes_and_goes_in_one_second_has_gone",),
    ),
    Mutant(
        "groups: a directory states who is in its own groups and nothing else, and nobody else does",
        "rights/statements.py",
        "        if (by.kind is SubjectKind.DIRECTORY or lists) and not (lists and by == _lister(lists)):",
        "        if False:",
        (f"{_PURE}::test_nobody_but_its_directory_states_who_is_in_a_group",),
    ),
    Mutant(
        "groups: a group has content alone",
        "rights/statements.py",
        "        SubjectKind.GROUP: OF_CONTENT,",
        "        SubjectKind.GROUP: frozenset(Right),",
        (f"{_PURE}::test_a_group_has_content_alone_and_no_role",),
    ),
    Mutant(
        "groups: custodians alone enrol no directory",
        "rights/enrolment.py",
        "if officer and not paper else (Effect.NO_AUTHORITY, None)",
        "if True else (Effect.NO_AUTHORITY, None)",
        (f"{_PURE}::test_custodians_alone_enrol_no_directory",),
    ),
    Mutant(
        "groups: who is in one is never taken from a statement that nobody signed",
        "rights/copies.py",
        "        if isinstance(statement.act, MembersListed):\n",
        "        if False:\n",
        (f"{_PURE}::test_who_is_in_a_group_is_never_taken_from_a_statement_that_nobody_signed",),
    ),
    Mutant(
        "groups: a reading goes on from the one before",
        "rights/groupfold.py",
        "        if act.count != len(after) or act.listing != listing(after):\n"
        "            return Effect.OTHER_LISTING\n",
        "",
        (f"{_PURE}::test_a_reading_that_does_not_go_on_from_the_one_before_is_refused",),
    ),
    Mutant(
        "groups: a reading lets nobody out who is not in, nor in who is",
        "rights/groupfold.py",
        "        if not before.isdisjoint(act.joined) or not before.issuperset(act.left):\n"
        "            return Effect.OTHER_LISTING\n",
        "",
        (f"{_PURE}::test_a_reading_that_does_not_go_on_from_the_one_before_is_refused",),
    ),
    Mutant(
        "groups: a reading leaves no group empty, by rule of the record",
        "rights/groupfold.py",
        "        return Effect.TAKEN if after else Effect.EMPTIES",
        "        return Effect.TAKEN",
        (f"{_PURE}::test_a_reading_that_leaves_nobody_is_refused_and_removes_nobody",),
    ),
    Mutant(
        "groups: an empty answer removes nobody",
        "governance/groups.py",
        '    if not after:\n        return "the directory lists no member of it"\n',
        "",
        (f"{_GOVERNED}::test_the_limit_of_a_group_that_shrinks",),
    ),
    Mutant(
        "groups: an answer with far fewer people removes nobody",
        "governance/groups.py",
        "    if not shrink and len(before) > MANY and 2 * stay < len(before):",
        "    if False:",
        (f"{_GOVERNED}::test_the_limit_of_a_group_that_shrinks",),
    ),
    Mutant(
        "groups: a group that could not be read is kept as it was",
        "governance/groups.py",
        "            reason = listing.fault or held(before, after, shrink=shrink)",
        "            reason = held(before, after, shrink=shrink)",
        (f"{_GOVERNED}::test_an_answer_that_would_remove_all_or_most_removes_nobody_and_is_in_the_log_once",),
    ),
    Mutant(
        "groups: nobody is entered whom only a list names that is not taken",
        "governance/groups.py",
        "listing.fault or held(frozen.members(group), _ids(listing, known), shrink=shrink):",
        "False:",
        (f"{_GOVERNED}::test_nobody_is_entered_whom_only_a_list_names_that_is_not_taken",),
    ),
    Mutant(
        "groups: a directory whose key is not enrolled is not read",
        "governance/groups.py",
        "        if not self._enrolled(record, source):\n",
        "        if False:\n",
        (f"{_GOVERNED}::test_a_key_that_officers_did_not_enrol_reads_nothing",),
    ),
    Mutant(
        "groups: a directory is read by its own name alone",
        "governance/groups.py",
        "    return tuple(sorted((each for each in groups if directory_of(each) == directory), key=str))",
        "    return tuple(sorted(groups, key=str))",
        (f"{_GOVERNED}::test_a_group_of_another_directory_is_not_read_here",),
    ),
    Mutant(
        "groups: people are those of the sign-in service that the directory is for",
        "governance/groups.py",
        "                    if one.identity.issuer == source.issuer\n",
        "",
        (f"{_GOVERNED}::test_the_same_name_at_another_sign_in_service_is_another_person",),
    ),
    Mutant(
        "directories: TLS is verified",
        "net/ldap.py",
        "            wrapped = self._context.wrap_socket(plain, server_hostname=connection.server.host)",
        "            self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE\n"
        "            wrapped = self._context.wrap_socket(plain, server_hostname=connection.server.host)",
        (f"{_LDAP}::test_a_certificate_of_another_issuer_or_name_gets_no_password",),
    ),
    Mutant(
        "directories: nothing is said before TLS has started",
        "net/ldap.py",
        "        if not (started and connection.tls_started):",
        "        if False:",
        (f"{_LDAP}::test_a_directory_that_starts_no_tls_gets_no_password",),
    ),
    Mutant(
        "directories: half an answer is none",
        "net/ldap.py",
        '            if connection.result["result"] != 0:\n'
        "                raise DirectoryUnavailable(_code(connection))\n",
        "",
        (f"{_LDAP}::test_a_directory_that_lists_a_part_is_no_answer",),
    ),
    Mutant(
        "directories: a reading ends with its time",
        "net/ldap.py",
        "            self.inner.settimeout(self._reading.remaining())\n            data: bytes",
        "            data: bytes",
        (f"{_LDAP}::test_a_reading_has_its_time_over_all_answers",),
    ),
    Mutant(
        "directories: a reading ends with its bytes",
        "net/ldapanswers.py",
        "        if self._bytes > MAX_BYTES:",
        "        if False:",
        (f"{_LDAP}::test_too_many_bytes_or_people_end_a_reading",),
    ),
    Mutant(
        "directories: an answer has a limit of bytes",
        "net/ldapanswers.py",
        "            if end - begin > self.most[0]:",
        "            if False:",
        (f"{_ANSWERS}::test_an_answer_has_as_many_bytes_and_elements_as_it_may_have",),
    ),
    Mutant(
        "directories: an answer has a limit of elements",
        "net/ldapanswers.py",
        "        if count > most:",
        "        if False:",
        (f"{_LIES}::test_a_person_who_takes_more_work_than_one_does_ends_the_reading",),
    ),
    Mutant(
        "directories: a reading has a limit of elements",
        "net/ldapanswers.py",
        "            if self._elements > MAX_ELEMENTS:",
        "            if False:",
        (f"{_ANSWERS}::test_elements_are_counted_over_a_whole_reading",),
    ),
    Mutant(
        "directories: a number is short",
        "net/ldapanswers.py",
        "    if len(content) > _MAX_NUMBER or int.from_bytes(content) > greatest:",
        "    if int.from_bytes(content) > greatest:",
        (f"{_ANSWERS}::test_an_answer_that_would_take_more_work_than_it_says_is_not_decoded",),
    ),
    Mutant(
        "directories: a number in place of text takes no memory",
        "net/ldapanswers.py",
        "    if len(content) > _MAX_NUMBER or int.from_bytes(content) > greatest:",
        "    if len(content) > _MAX_NUMBER:",
        (f"{_ANSWERS}::test_an_answer_that_would_take_more_work_than_it_says_is_not_decoded",),
    ),
    Mutant(
        "directories: what a control has is looked into",
        "net/ldapanswers.py",
        "                _check_page(answer[at:until])",
        "                pass",
        (f"{_ANSWERS}::test_an_answer_that_would_take_more_work_than_it_says_is_not_decoded",),
    ),
    Mutant(
        "directories: pages come to an end",
        "net/ldap.py",
        "        for _ in range(_MAX_PAGES):",
        "        for _ in range(100 * _MAX_PAGES):",
        (f"{_LIES}::test_pages_and_ranges_that_lead_on_without_end_are_no_list",),
    ),
    Mutant(
        "directories: a name that two people have is nobody's",
        "net/ldap.py",
        "    known[name] = person if known.get(name, person) == person else None",
        "    known[name] = person",
        (f"{_LDAP}::test_members_named_by_uid_are_exactly_those_and_no_pattern",),
    ),
    Mutant(
        "directories: a name that two people have in other ways of writing is nobody's",
        "net/ldap.py",
        "                _lead(parsed, key, person)",
        "                parsed[key] = person",
        (f"{_LIES}::test_two_whose_names_are_the_same_in_other_ways_of_writing_are_nobody",),
    ),
    Mutant(
        "directories: a range of members that does not come is no end of the list",
        "net/ldap.py",
        "auto_range=False,",
        "auto_range=True,",
        (f"{_LIES}::test_a_range_that_does_not_come_is_no_end_of_the_list",),
    ),
    Mutant(
        "directories: a range of members goes on from the one before",
        "net/ldap.py",
        "int(found[0][1]) != begin:",
        "False:",
        (f"{_LIES}::test_a_range_that_does_not_come_is_no_end_of_the_list",),
    ),
    Mutant(
        "directories: a reference to another server is no whole answer",
        "net/ldap.py",
        '            raise DirectoryUnavailable("it refers to another server for part of the answer")',
        "            continue",
        (f"{_LIES}::test_what_is_at_another_server_is_no_whole_answer",),
    ),
    Mutant(
        "directories: an alias leads to no other group",
        "net/ldap.py",
        "                ldap3.BASE,\n                dereference_aliases=ldap3.DEREF_NEVER,\n",
        "                ldap3.BASE,\n",
        (f"{_LIES}::test_no_alias_is_followed_out_of_the_base_or_to_another_group",),
    ),
    Mutant(
        "directories: an alias leads to nobody outside the base",
        "net/ldap.py",
        "                ldap3.SUBTREE,\n                dereference_aliases=ldap3.DEREF_NEVER,\n",
        "                ldap3.SUBTREE,\n",
        (f"{_LIES}::test_no_alias_is_followed_out_of_the_base_or_to_another_group",),
    ),
    Mutant(
        "groups: one that has got another group's name lets nobody in before a person has looked",
        "governance/groups.py",
        "2 * stay < len(before)",
        "False",
        (
            f"{_GOVERNED}::test_a_group_that_has_got_another_groups_name_lets_nobody_in"
            "_before_a_person_has_looked",
        ),
    ),
    Mutant(
        "directories: a secret that others can read is not used",
        "config/passphrase.py",
        "read: Callable[[Path], bytes] = durablefiles.read_private)",
        "read: Callable[[Path], bytes] = Path.read_bytes)",
        (f"{_KEPT}::test_a_secret_that_others_than_its_owner_can_read_or_write_is_not_used",),
    ),
    Mutant(
        "directories: one that does not answer holds up no other",
        "installation/directories.py",
        "                tasks.create_task(self._keep(place))",
        "                await self.look(place)",
        (f"{_KEPT}::test_a_directory_that_never_answers_holds_up_no_other_organisations",),
    ),
    Mutant(
        "directories: one that does not answer keeps no thread from other work",
        "net/ldap.py",
        "run_in_executor(thread, ",
        "run_in_executor(None, ",
        (f"{_LDAP}::test_directories_that_do_not_answer_keep_no_thread_from_other_work",),
    ),
    Mutant(
        "directories: a value with invisible characters names nobody",
        "net/ldap.py",
        '    return "" if hidden or text != text.strip() else text',
        "    return text",
        (f"{_LDAP}::test_members_who_are_no_people_of_use_are_counted_and_are_not_in_the_group",),
    ),
    Mutant(
        "configuration: a directory without TLS is for the demonstration",
        "config/reader.py",
        "    _guard_directories,\n)",
        ")",
        (f"{_READER}::test_a_directory_without_tls_is_for_the_demonstration_alone",),
    ),
    Mutant(
        "configuration: a directory's password is not empty",
        "installation/directories.py",
        "    if not password:\n",
        "    if False:\n",
        ("tests/unit/installation/test_directories.py::test_a_file_that_cannot_be_used_is_named",),
    ),
)
