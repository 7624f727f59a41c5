"""The PostgreSQL server, its sessions, pool and migrations."""
