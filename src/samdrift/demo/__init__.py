"""The demonstration: a federation and two operators on this machine, with fictitious people and cases."""
