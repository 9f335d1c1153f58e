"""The administrator's pages over all of it."""
