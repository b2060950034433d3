"""Products of vectors, matrices and higher arrays other than matmul."""
