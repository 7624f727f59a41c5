"""An empty Debian, on which Samdrift is set up as the documents say."""
