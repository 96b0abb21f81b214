"""Tests of the sample project: the real one, run in processes of its own with a database in a temporary folder."""
