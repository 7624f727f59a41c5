"""Catalogues of duties: what organisations, suppliers and sub-suppliers owe, as data with a version."""
