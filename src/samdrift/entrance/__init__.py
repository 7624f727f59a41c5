"""The way in of persons, for every role that has pages: an origin for each organisation, sign-in and sessions
in its vault.
"""
