"""The study's page, and a read from its first mark to its signature and report."""
