"""XML signature and encryption, keys and certificates."""
