"""Sorting and partitioning."""
