"""A stand-in for the web-service plugin of a Domibus, written from its published contract."""
