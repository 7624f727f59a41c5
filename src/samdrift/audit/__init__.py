"""The audit log: event names, entries, and the hash chain that reveals tampering."""
