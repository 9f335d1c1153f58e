"""How good the model is here: compared with reads, disputes settled."""
