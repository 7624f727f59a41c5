"""Role GOV: who has agreed to what, who may do what, and who did, for one organisation at a time."""
