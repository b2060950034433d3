"""Running sums and products, differences and what is integrated or interpolated along an axis."""
