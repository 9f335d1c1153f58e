"""The alert's one screen: what happened, with what it is linked, whose loss it is."""
