"""Sign-in by SAML 2.0, the web browser profile (saml-profiles 4.1): docs/decisions/0032-saml.md."""
