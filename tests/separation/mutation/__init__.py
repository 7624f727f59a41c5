"""Mutants: guards removed one at a time in a copy of the code, each of which must make its test fail."""
