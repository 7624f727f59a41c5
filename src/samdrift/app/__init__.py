"""The composition root and the command line: the only importer of several roles."""
