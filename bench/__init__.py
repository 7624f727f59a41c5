"""Benchmarks: how far a piece of work is from the cryptography that it cannot do without."""
