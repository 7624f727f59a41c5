"""The check of isolation: tries to cross from one organisation to another, everywhere, in production."""
