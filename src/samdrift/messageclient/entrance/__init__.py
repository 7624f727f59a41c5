"""The way in: the site of each organisation, sign-in, and the rights of the person who is signed in."""
