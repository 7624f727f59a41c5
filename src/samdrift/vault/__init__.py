"""The gate: the only way to an organisation's data, keys and log."""
