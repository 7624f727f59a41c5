"""Moving a vault to another installation or from one, and backup and restoration of its rows."""
