"""The views of the portals, one module for each thing that a visitor does."""
