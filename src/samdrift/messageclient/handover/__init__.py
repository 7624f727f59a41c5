"""Hand-over: messages as a package that can be kept and read anywhere, and registration of conversations."""
