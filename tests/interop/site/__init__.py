"""The documentation site, as its readers see it."""
