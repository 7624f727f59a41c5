"""Signed files that leave the house: signatures, archives, the trust folder."""
