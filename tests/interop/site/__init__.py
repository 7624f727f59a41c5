"""The documentation site, as its readers get it."""
