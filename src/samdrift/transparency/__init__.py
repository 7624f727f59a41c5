"""Everything about logs that talks: a witness and its client, and readers of a log's tiles over HTTP."""
