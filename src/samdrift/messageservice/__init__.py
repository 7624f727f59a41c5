"""Role MT: validates, protects, sends and receives an organisation's messages, and keeps their status."""
