"""What is written down about what happened: event names, entries, and the chain that makes tampering show."""
