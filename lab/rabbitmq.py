"""Debian's RabbitMQ, over which OpenStack's services tell each other what they do."""

from pathlib import Path

from lab.debian import program
from lab.process import Server, free_port, listening

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""What Debian's own script starts after it has become another user and chosen fixed folders."""


class RabbitMQ(Server):
    """One broker on loopback, with a name server for Erlang's nodes of its own."""

    def __init__(self, folder: Path) -> None:
        """Choose the ports; nothing runs yet."""
        super().__init__("rabbitmq", folder)
        program("rabbitmq-server", "rabbitmq-server")
        self.transport_url = f"rabbit://guest:guest@127.0.0.1:{self.port}/"
        self.environment |= {
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_NODENAME": f"lab{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
        }

    def command(self) -> list[str]:
        """Return the command line."""
        # Left to Erlang, epmd would be a daemon that outlives its node.
        return ["sh", "-c", 'epmd & exec "$0"', str(_PROGRAM)]

    def ready(self) -> bool:
        """Tell whether it accepts connections."""
        return listening(self.port)
