"""The commands of the command line, one module each; :mod:`samdrift.app.main` lists them."""
