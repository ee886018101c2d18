"""The Toy Bank: the plainest bank there can be."""
