"""The configuration file: its model, its reader, and what it names."""
