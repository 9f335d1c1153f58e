"""Plain services round the same model, to measure ours against."""
