"""What `seed_demo` fills the site with: real documentation, and people and leads made from a fixed seed."""
