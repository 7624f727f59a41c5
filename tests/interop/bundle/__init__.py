"""The bundle that Samdrift is installed from without a network, and the files for containers."""
