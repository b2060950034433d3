"""Joining arrays and taking them apart."""
