"""Decompositions of matrices: Cholesky, QR, eigenvalues and singular values."""
