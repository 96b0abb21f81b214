"""How `make demo` serves the site. gunicorn leaves out what its version does not know."""

from __future__ import annotations

import os

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = 2
threads = 4
graceful_timeout = 5
control_socket_disable = True  # newer versions would open one in the home directory
