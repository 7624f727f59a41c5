"""Sign-in by OpenID Connect: code flow with PKCE, and its two kinds of logout."""
