"""The states of a message, their deadlines and their ends."""
