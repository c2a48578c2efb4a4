"""Real OpenStack services on loopback, for tests, the demonstration and benchmarks.

Each is a subprocess that ends with this process, however that ends. What they
need is installed at first use and kept under `.lab`; `python -m lab prepare`
does it ahead of time. What this machine cannot have raises Unavailable.
"""

from lab.cloud import Cloud
from lab.errors import LabError, Unavailable
from lab.glance import NEW, OLD, Glance
from lab.keystone import Keystone
from lab.machine import Machine
from lab.memcached import Memcached
from lab.postgres import Postgres
from lab.process import Server, free_port
from lab.prometheus import Prometheus
from lab.rabbitmq import RabbitMQ
from lab.radosgw import Radosgw
from lab.region import Region
from lab.tls import Authority, Certificate

__all__ = [
    "NEW",
    "OLD",
    "Authority",
    "Certificate",
    "Cloud",
    "Glance",
    "Keystone",
    "LabError",
    "Machine",
    "Memcached",
    "Postgres",
    "Prometheus",
    "RabbitMQ",
    "Radosgw",
    "Region",
    "Server",
    "Unavailable",
    "free_port",
]
