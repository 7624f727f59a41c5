"""Makes the environment on first use; the standard library alone."""
