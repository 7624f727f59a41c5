"""SAML 2.0, the subset needed for sign-in: authentication requests, responses, metadata, logout.

Specifications: saml-core, saml-bindings, saml-profiles and saml-metadata (OASIS, 2005), with the errata.
Responses are read and their signatures verified here; the caller judges their content.
"""
