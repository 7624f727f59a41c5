"""Who may use interface D, as access tokens say: our own authorisation server, and others (api-mt-mk 5)."""
