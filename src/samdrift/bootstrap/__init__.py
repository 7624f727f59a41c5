"""Creation of the virtual environment on first use, with nothing but the standard library."""
