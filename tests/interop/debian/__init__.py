"""An empty Debian machine, on which Samdrift is set up as the documents describe."""
