"""Datasets: frozen, summed up, compared, and what is held out for ever."""
