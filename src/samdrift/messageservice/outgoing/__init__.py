"""What goes out: composed, sealed and submitted."""
