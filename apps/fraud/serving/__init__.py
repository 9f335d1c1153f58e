"""The version in service: rows and states in, scores out, states made again."""
