"""Small views whose right answer is known: what the detector finds in each of them, and in which of them nothing.

An answer names the line of code by a marker in the source, ``# here: NAME``, with the view's name or the one that it gives.
"""
