"""Catalogues of duties: the obligations of organisations, suppliers and sub-suppliers as versioned data."""
