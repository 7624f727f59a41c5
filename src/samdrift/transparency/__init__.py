"""Network parts of log transparency: a witness and its client, and readers of a log's tiles over HTTP."""
