"""One study: whose it is, who may see what of it, who holds it, whether it is complete."""
