"""Make Glance's schema: run by an environment's Python with a configuration file.

With a folder as second argument, the metadata definitions in it are loaded, too.

`glance-manage db_sync` does the same, but that of old releases does not get
past Python 3.11's stricter argparse.
"""

import sys

from glance.cmd import manage  # type: ignore[import-not-found]
from oslo_config import cfg

if __name__ == "__main__":
    cfg.CONF([], project="glance", default_config_files=[sys.argv[1]])
    manage.DbCommands().sync()
    for folder in sys.argv[2:]:
        manage.DbCommands().load_metadefs(folder)
