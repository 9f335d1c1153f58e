"""The one engine, from an event that arrived to its decision."""
