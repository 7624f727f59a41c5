"""Incoming envelopes: fetched, judged, matched with sent messages, and answered."""
