"""A port of the store's own: closed, whoever comes is refused, while the control API listens on."""

import socket

ADDRESS = "127.0.0.1"


class Door:
    """Closed until opened. `serve` is called with each listener, and serves it in a thread of its own.

    Opened again it has another listener: so what came through before is told apart.
    """

    def __init__(self, serve):
        self._serve, self.listener = serve, None
        # Bound without listening, it keeps the port ours while the door is closed.
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.bind((ADDRESS, 0))
        self.port = self._keeper.getsockname()[1]

    @property
    def is_open(self):
        return self.listener is not None

    def open(self):
        if not self.is_open:
            self.listener = socket.create_server((ADDRESS, self.port), backlog=1024)
            self._serve(self.listener, self)

    def close(self):
        if self.is_open:
            end(self.listener)
            self.listener = None

    def remove(self):
        self.close()
        self._keeper.close()


def end(listener):
    """Without the shutdown the thread that blocks in accept() would keep the port listening."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()
