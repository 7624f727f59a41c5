"""What the roles say to each other: frozen messages and protocols, no logic."""
