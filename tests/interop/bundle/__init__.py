"""The bundle for installing Samdrift without a network, and the files for containers."""
