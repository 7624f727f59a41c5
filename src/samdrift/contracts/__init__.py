"""Messages and protocols between the roles: frozen types, no logic."""
