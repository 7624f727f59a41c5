"""Pages for people: look, texts in two languages, sessions, sign-in, form guards. No organisation's data."""
