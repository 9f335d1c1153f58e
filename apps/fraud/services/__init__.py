"""Writes, one file a verb: ingest, decide, drain, sources."""
