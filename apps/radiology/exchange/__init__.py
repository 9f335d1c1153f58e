"""Lynceus as the one who asks and sends: priors, reports to the PACS, a day compared."""
