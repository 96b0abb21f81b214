"""The demo from its start to its end. What goes wrong is told in one sentence that says what to do.

Environment: DB (sqlite), PORT (8000), DEMO_MINUTES that the visitors stay (5), and what `settings.py` reads.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import NoReturn

from sampleproject.demo import environment, prerequisites, processes, servers, site
from sampleproject.demo.processes import Children, DemoError


def main() -> int:
    """Run the demo until it is interrupted; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays what it is
            signal.signal(number, _interrupt)
    children = Children()
    try:
        run(children)
    except DemoError as exc:
        print(f"make demo: {exc}", file=sys.stderr)
        return 1
    except OSError as exc:
        no_space = exc.errno == errno.ENOSPC
        print(f"make demo: {processes.no_space() if no_space else f'{exc}.'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopping.", flush=True)
    finally:
        children.stop()
    return 0


def run(children: Children) -> None:
    """Do one thing after the other. Ends only by an exception."""
    prerequisites.check_python(sys.version_info[:2])
    chosen = environment.chosen(os.environ)
    port = int(prerequisites.number_from(os.environ, "PORT", default=8000, highest=65535))
    highest = prerequisites.MAX_MINUTES
    minutes = prerequisites.number_from(os.environ, "DEMO_MINUTES", default=5, highest=highest)
    prerequisites.check_port(port)
    prerequisites.check_disk(chosen.needs_mb)
    environment.install(chosen, children, servers.packages(chosen))
    servers.start(chosen, children)
    site.fill(chosen, children)
    site.serve(chosen, children, port, minutes)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
