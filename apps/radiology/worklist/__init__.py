"""What needs eyes first, and why."""
