"""From films to findings: claimed, decoded, gated, predicted, stored."""
