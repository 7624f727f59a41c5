"""Keys of the vaults: made in place, kept apart, used through one interface (R6, R7)."""
