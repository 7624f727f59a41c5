"""Keys in hardware security modules (PKCS#11): made and used there, never elsewhere (R6, R7)."""
