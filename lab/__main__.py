"""Run the lab by hand: `python -m lab up`, `prepare` or `lock`."""

import argparse
import signal
import sys
import tempfile
import threading
from pathlib import Path

from lab import images, venvs
from lab.cloud import Cloud
from lab.debian import program
from lab.errors import LabError
from lab.lock import lock


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="keep a cloud running until interrupted")
    for kind in ("anonymous", "secure", "old"):
        up.add_argument(f"--{kind}", action="store_true", help=f"one more Glance: {kind}")
    up.add_argument("--token-seconds", type=int, default=3600, help="how long tokens live")
    up.add_argument("--folder", type=Path, help="where its data goes (default: a temporary one)")
    prepare = commands.add_parser("prepare", help="install what the services need")
    prepare.add_argument("--images", action="store_true", help="build the disk images too")
    relock = commands.add_parser("lock", help="write the environments' lock files anew")
    relock.add_argument("names", nargs="*", help="which (default: all)")
    options = parser.parse_args()
    try:
        if options.command == "up":
            _up(options)
        elif options.command == "prepare":
            _prepare(with_images=options.images)
        else:
            lock(*options.names)
    except LabError as error:
        sys.exit(f"lab: {error}")


def _prepare(*, with_images: bool) -> None:
    program("initdb", "postgresql")
    program("memcached", "memcached")
    for name in ("radosgw", "ceph-mon", "ceph-osd"):
        program(name, name)
    for name in ("glance", "glance-old", "keystone", "client", "glanceclient", "nova-cinder"):
        print(venvs.environment(name))
    if with_images:
        print(images.grub_iso())
        print(images.as_qcow2(images.debian_disk()))


def _up(options: argparse.Namespace) -> None:
    finished = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: finished.set())
    with tempfile.TemporaryDirectory(prefix="lab-") as temporary:
        folder = options.folder or Path(temporary)
        with Cloud(folder, token_seconds=options.token_seconds) as cloud:
            for kind in ("anonymous", "secure", "old"):
                if getattr(options, kind):
                    getattr(cloud, kind)()
            _describe(cloud)
            finished.wait()


def _describe(cloud: Cloud) -> None:
    print(f"keystone   {cloud.keystone.url}")
    for name, glance in (cloud.regions | cloud.others).items():
        print(f"{name:10} {glance.url}   log: {glance.log}")
    print(f"\nexport OS_CLIENT_CONFIG_FILE={cloud.clouds_yaml}")
    print("export OS_CLOUD=admin   # or member, credential", *cloud.others, sep=", ")
    print(f"PATH={venvs.environment('client') / 'bin'}:$PATH")
    print("\nInterrupt to stop everything.", flush=True)


if __name__ == "__main__":
    main()
