"""Linear equations, inverses and determinants."""
