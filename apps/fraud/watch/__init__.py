"""The overview: decisions counted, drift, events, and any list taken away."""
