"""Training anew by itself."""
