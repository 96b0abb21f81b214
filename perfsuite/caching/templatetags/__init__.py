"""Template tags of the caching app."""
