"""The operator's tools for an installation as a whole: first set-up, the doctor, backups and monitoring."""
