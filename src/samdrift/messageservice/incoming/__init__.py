"""Processing of incoming envelopes: they are fetched, judged, matched with sent messages, and answered."""
