"""The site itself: documentation portals of several tenants, with their people, forms and leads."""
