"""Signed files that leave the installation: signatures, archives, and the trust folder."""
