"""The way from djongo to django-mongodb-backend: what stands in it, the copy of the data, and the proof that it is whole.

djongo itself is never imported. Its fields are known by the name of their module, its documents by their shape.
"""

from __future__ import annotations
