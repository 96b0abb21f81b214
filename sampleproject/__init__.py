"""A multi-tenant documentation site that shows perfsuite on real content."""
