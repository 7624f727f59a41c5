"""Log systems of other parties, to which logs are handed over."""
