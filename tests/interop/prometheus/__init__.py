"""Prometheus and promtool, from Debian's packages."""
