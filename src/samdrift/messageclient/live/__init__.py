"""Open pages: notice that their content has changed, and who else is there. Kept only in memory."""
