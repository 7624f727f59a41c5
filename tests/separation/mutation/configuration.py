"""Mutants that remove guards of the configuration file."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_FAULTS = "tests/unit/config/test_faults.py"
_ALL_AT_ONCE = f"{_FAULTS}::test_all_faults_of_a_file_are_found_in_one_pass_each_with_its_line"
_PRODUCTION = (
    "tests/unit/config/test_reader.py::test_invariant_12_production_refuses_what_is_for_demonstration"
)

CONFIGURATION = (
    Mutant(
        "production refuses what is for demonstration (invariant 12)",
        "config/reader.py",
        "return config.environment is Environment.PRODUCTION",
        "return False",
        (_PRODUCTION,),
    ),
    Mutant(
        "the rules of production are looked at",
        "config/reader.py",
        "        *PRODUCTION,\n",
        "",
        (_PRODUCTION,),
    ),
    Mutant(
        "a key that is not a setting is a fault of the configuration",
        "config/reading.py",
        "        table.fault(key, _not_a_setting(key, tables))\n",
        "        pass\n",
        ("tests/unit/config/test_reader.py::test_what_is_wrong_is_named_by_its_place",),
    ),
    Mutant(
        "a configuration with faults is not used",
        "config/reader.py",
        "    found.require_no_faults(path)\n",
        "",
        ("tests/unit/config/test_reader.py::test_what_is_wrong_is_named_by_its_place",),
    ),
    Mutant(
        "a fault of the configuration hides no other fault",
        "config/reading.py",
        "in checks.get(tables.type, ()):",
        "in () if table.found.faults else checks.get(tables.type, ()):",
        (_ALL_AT_ONCE,),
    ),
    Mutant(
        "a key of the configuration is not read under two names",
        "config/reading.py",
        "    if name in table:\n",
        "    if False:\n",
        (f"{_FAULTS}::test_a_key_under_both_names_is_a_fault",),
    ),
)
