"""De-identified copies."""
