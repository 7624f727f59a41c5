"""Role GOV: who agreed to what, who may do what, and who did it, for one organisation at a time."""
