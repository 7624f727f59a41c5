"""The configuration file: its model, its reader, and access to the files and secrets that it names."""
