"""Messages and protocols that the roles share: frozen types without logic."""
