"""Prometheus and promtool, as Debian has them."""
