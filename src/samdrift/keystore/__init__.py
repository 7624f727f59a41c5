"""Keys of the vaults: made in place, kept separate, used through one interface (R6, R7)."""
