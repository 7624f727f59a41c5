"""What came in: fetched, judged, matched with what was sent, and answered."""
