"""Mutants drawn by lot over packages that decide, made by cosmic-ray: `python -m tests.mutation.run`."""
