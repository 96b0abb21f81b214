"""A wire between a site and its database that can be cut in the middle of a write, whose outcome the site then cannot know."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

from tests.servers import free_port


class Wire:
    """Listens on ``port`` and passes everything on to a server, both ways, until it is told to be cut."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self.was_cut = threading.Event()
        self._to_port = to_port
        self._words: list[bytes] = []
        self._open = True
        self._sockets: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, words: Sequence[bytes]) -> None:
        """Cut it as soon as the server has answered a client whose requests had all these words, in this order.

        The answer gets lost. Nobody gets through from then on until ``mend``.
        """
        self.was_cut.clear()
        self._words = list(words)

    def mend(self) -> None:
        self._open = True

    def close(self) -> None:
        self._listening.close()
        self._hang_up()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if not self._open:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._to_port))
            self._sockets |= {client, server}
            seen: list[bytes] = []
            for source, target, is_client in ((client, server, True), (server, client, False)):
                arguments = (source, target, is_client, seen)
                threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, is_client: bool, seen: list[bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                if is_client:
                    words = self._words
                    while len(seen) < len(words) and words[len(seen)] in data:
                        seen.append(words[len(seen)])
                elif self._words and seen == self._words:
                    self._cut()
                    return
                target.sendall(data)
        for each in (source, target):
            self._end(each)

    def _cut(self) -> None:
        self._open, self._words = False, []
        self._hang_up()
        self.was_cut.set()

    def _hang_up(self) -> None:
        for each in list(self._sockets):
            self._end(each)

    def _end(self, each: socket.socket) -> None:
        self._sockets.discard(each)
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextlib.contextmanager
def wire(to_port: int) -> Iterator[Wire]:
    """Run a wire until the block ends."""
    made = Wire(to_port)
    try:
        yield made
    finally:
        made.close()
