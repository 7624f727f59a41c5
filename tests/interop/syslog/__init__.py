"""Log systems of others, to which logs are handed over."""
