"""A whole SDK federation on one machine: certificate authorities, SML, SMP with CertPub, address book.

It is for demonstration and tests only (invariant 12): it listens on loopback, keeps its keys unencrypted, and
can do what must never be done in production, such as revoking another participant's certificate, publishing
metadata with a broken signature or not answering at all.
"""
