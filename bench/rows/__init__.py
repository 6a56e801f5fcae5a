"""Rows of the table: one class for each kind of work, with `round`, which measures, and `rows`."""
