"""`make demo`: prepare once, start every process, say where to look. Never imported by the product."""
