"""`make demo`: install, fill and run the sample site, with visitors, and stop all of it on Ctrl-C.

Runs on a bare Python with nothing installed: `python -m sampleproject.demo` in the project's folder.
"""
