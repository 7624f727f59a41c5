"""A whole SDK federation on one machine: certificate authorities, SML, SMP with CertPub, address book.

For demonstration and tests only (invariant 12): it listens on loopback, keeps
its keys unencrypted, and does what nobody may do in earnest, such as revoking a
neighbour's certificate, publishing metadata with a broken signature or going
silent.
"""
