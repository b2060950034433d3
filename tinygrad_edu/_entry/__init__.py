"""What pytest and Hypothesis load at their own start, by entry points. In an installed package each file here is a module of its
own, beside tinygrad_edu, so that loading it does not load tinygrad_edu and NumPy."""

__all__: list[str] = []
