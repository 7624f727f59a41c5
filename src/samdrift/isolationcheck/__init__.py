"""The isolation check: tries every way to reach another organisation's data, in production."""
