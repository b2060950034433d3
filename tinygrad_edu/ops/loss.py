"""The softmax family and its loss. Every forward is stable: no overflow, no log of 0."""
