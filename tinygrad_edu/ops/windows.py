"""Sliding windows and their adjoint, the base of convolution and pooling."""
