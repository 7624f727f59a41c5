"""Guards taken away one by one in a copy of the code: each must make its case fail."""
