"""What model operations ask of the domain: datasets, scoring, labels, shadow."""
