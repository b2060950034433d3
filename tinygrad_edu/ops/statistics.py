"""Averages, spreads and quantiles."""
