"""The composition root: one configuration becomes running roles."""
