"""Where a site's rules, lists and thresholds are written and chosen."""
