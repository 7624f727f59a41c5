"""The audit log: events, entries, the hash chain that reveals tampering, and the tree for external proofs."""
