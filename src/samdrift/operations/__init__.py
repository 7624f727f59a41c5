"""The operator's tools for an installation as a whole: the doctor that examines it, and its first set-up."""
