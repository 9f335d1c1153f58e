"""The analyst's queue: items gathered, ranked, taken, handed on, and a day's capacity."""
