"""The gate, the two people, and which version serves."""
