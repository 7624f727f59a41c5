"""Keys in tokens of a hardware security module (PKCS#11): made and used there, never elsewhere (R6, R7)."""
