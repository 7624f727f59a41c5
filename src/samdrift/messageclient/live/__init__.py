"""Open pages: that what they show has changed, and who else is there. Kept in memory, and nowhere else."""
