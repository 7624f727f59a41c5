"""States of a message, the deadlines for reaching the next one, and the ways in which it ends."""
