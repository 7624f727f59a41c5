"""The commands of the command line, one module each; :mod:`samdrift.cli.main` lists them."""
