"""SAM prompting: points and boxes on slices become masks."""
