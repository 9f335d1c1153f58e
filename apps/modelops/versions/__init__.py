"""A version: its card, its variants, beside others, out of and into an installation."""
