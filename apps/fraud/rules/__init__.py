"""What decides beside the model: rules, lists, thresholds, what is let through."""
