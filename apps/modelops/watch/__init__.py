"""How the version in service does, and the alarms that come of it."""
