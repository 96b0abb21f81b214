"""The tiers: memory of this process, and what processes share."""
