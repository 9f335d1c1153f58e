"""Rules asked of history."""
