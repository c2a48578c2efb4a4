"""The commands of the chunk store: many in this process, to be fast, some in one of their own."""

import io
import os
import subprocess
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from meltemi.cli.main import main
from tests.support.cli import LISTENING, PROGRAM, Done, environment, meltemi


@dataclass
class Keeper:
    """Runs `meltemi store` on one store, in a folder of its own."""

    folder: Path
    address: str = "store"
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, verb: str, *words: object, code: int = 0) -> Done:
        """Run a command in this process to its end; fail unless it ends with `code`."""
        out, err = io.StringIO(), io.StringIO()
        ended: object = None
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            chdir(self.folder),
            mock.patch.dict(os.environ, self.env),
        ):
            try:
                main(["store", verb, self.address, *map(str, words)])
            except SystemExit as error:
                ended = error.code
        done = Done(int(str(ended)), out.getvalue(), err.getvalue())
        assert done.code == code, f"{verb} {words}: exit code {done.code}\n{done.err}{done.out}"
        return done

    def really(self, verb: str, *words: object, code: int = 0) -> Done:
        """Run a command in a process of its own."""
        where = (verb, self.address)
        return meltemi("store", *where, *words, code=code, env=self.env, cwd=self.folder, anew=True)

    def rows(self, verb: str, *words: object, code: int = 0) -> list[dict[str, Any]]:
        """Run a command with `-f json`; give its rows."""
        return self.run(verb, *words, "-f", "json", code=code).rows

    def row(self, verb: str, *words: object, code: int = 0) -> dict[str, Any]:
        """Give its only row."""
        [row] = self.rows(verb, *words, code=code)
        return row

    def put(self, name: str, data: bytes, *words: object) -> dict[str, Any]:
        """Store data by way of a file; give the row."""
        file = self.folder / "data"
        file.write_bytes(data)
        return self.row("put", name, file, *words)

    def get(self, name: str) -> bytes:
        """Give data by way of a file."""
        self.run("get", name, "-o", "got")
        return (self.folder / "got").read_bytes()

    def piped(
        self, verb: str, *words: object, data: bytes = b"", limit: int | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command with data on stdin; its files get `limit` bytes at most."""
        limited = [] if limit is None else ["prlimit", f"--fsize={limit}"]
        return subprocess.run(
            [*limited, *PROGRAM, "store", verb, self.address, *map(str, words)],
            input=data,
            env=environment(self.env),
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=120,
        )

    def started(self, verb: str, *words: object, **how: Any) -> subprocess.Popen[bytes]:
        """Start a command that can be interrupted."""
        return subprocess.Popen(
            [*LISTENING, *PROGRAM, "store", verb, self.address, *map(str, words)],
            env=environment(self.env),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            **how,
        )

    def packs(self) -> list[Path]:
        """Give the files of the packs, the largest first."""
        found = (self.folder / self.address / "packs").glob("*/*")
        return sorted(found, key=lambda path: path.stat().st_size, reverse=True)


def flip(path: Path, at: int) -> None:
    """Turn one bit of a file over."""
    with path.open("r+b") as file:
        [byte] = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte ^ 1]), at)
