"""Answers that are made once and sent many times, and no larger than they must be."""
