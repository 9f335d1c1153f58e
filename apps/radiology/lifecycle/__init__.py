"""What model operations ask of the domain: labels, datasets, scoring."""
