"""Benchmarks that compare a piece of work with the cryptography that it cannot do without."""
