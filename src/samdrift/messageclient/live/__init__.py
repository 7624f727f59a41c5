"""Open pages: signals that their content has changed, and who else has it open. Kept only in memory."""
