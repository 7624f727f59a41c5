"""SAML 2.0, as much of it as signing in takes: authentication requests, responses, metadata, logout.

Specifications: saml-core, saml-bindings, saml-profiles and saml-metadata (OASIS, 2005), with the errata. What
an answer must say is judged by those who asked; here it is read, and nothing is read that was not signed.
"""
