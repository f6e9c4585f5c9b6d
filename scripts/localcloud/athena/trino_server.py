"""A Trino server: on loopback, for one local cloud or several, and stopped with its starter."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
import trino

from localcloud import private_files
from localcloud.athena import trino_programs
from localcloud.athena.trino_catalogs import CONNECTOR, SCHEMA, Catalogs
from localcloud.athena.trino_client import USER, TrinoClient
from localcloud.confine import Confined
from localcloud.errors import LocalCloudError
from localcloud.ports import LOOPBACK, free_port
from localcloud.protocol import SharedTrino
from localcloud.unprivileged import launcher

HEAP_MEGABYTES, QUERY_MEGABYTES, HEADROOM_MEGABYTES = 2560, 1536, 512
START_TIMEOUT_SECONDS = 600.0
"""Long, for busy machines: a server that ends meanwhile is noticed at once."""
POLL_SECONDS = 0.2
MOST_RESTARTS = 3
"""How often in a row a server that has answered before is started until it answers again."""
_Popen = subprocess.Popen
"""The original: the local cloud's server replaces ``subprocess.Popen`` with one for functions."""
# fmt: off
_JAVA_OPTIONS = (
    f"-Xmx{HEAP_MEGABYTES}M", "-XX:MaxMetaspaceSize=384M", "-XX:MaxDirectMemorySize=384M",
    "-XX:ReservedCodeCacheSize=128M", "-XX:+ExitOnOutOfMemoryError",
    # What is queried here is small. For a hundred runs, the first compiler alone takes 60% of the
    # processor time of both, and this collector a tenth less than the default one.
    "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
    # These statistics would be in /tmp, where every user can read them.
    "-XX:-UsePerfData", "-Dfile.encoding=UTF-8", "-Duser.timezone=UTC",
)
# fmt: on


class TrinoServer:
    """One process of Trino, started again whenever it dies.

    ``folder`` is its own, for its configuration, keys and temporary files. Its only catalogs are
    those of one cloud, or else those that its clients create: who can do that can read every file
    that this user can read.
    """

    def __init__(
        self, programs: Path, java: Path, folder: Path, log: Path, catalogs: Catalogs | None
    ) -> None:
        self._programs, self._java, self._folder, self._log = programs, java, folder, log
        self._catalogs = catalogs
        self._secret = secrets.token_bytes(48)
        self._client = TrinoClient(free_port(), _make_token(self._secret), self._certificate)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._failure: str | None = None
        # Its processes get a signal when the thread that has started them ends.
        self._supervisor = threading.Thread(target=self._supervise, name="trino", daemon=True)

    def start(self) -> None:
        """Start it in the background; ``await_client`` returns when it answers."""
        self._supervisor.start()

    def await_client(self) -> TrinoClient:
        """Its client, once it answers. Raises ``LocalCloudError`` when it doesn't come up."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._ready.wait(POLL_SECONDS):
            if self._failure is not None:
                raise LocalCloudError(self._failure)
            if time.monotonic() > deadline:
                raise LocalCloudError(
                    f"Trino doesn't answer after {START_TIMEOUT_SECONDS:.0f} s: read {self._log}"
                )
        return self._client

    def stop(self) -> None:
        """Stop it; returns when none of its processes is left."""
        self._stopping.set()
        with self._lock:
            if self._process is not None:
                # Its data is discarded, so it needs no clean shutdown.
                self._process.kill()
        self._supervisor.join()

    @property
    def _certificate(self) -> str:
        return str(self._folder / "certificate.pem")

    def _supervise(self) -> None:
        try:
            self._configure()
            starts_left = 1
            while starts_left and not self._stopping.is_set():
                starts_left -= 1
                if self._run_once():
                    starts_left = MOST_RESTARTS
            if not self._stopping.is_set():
                self._failure = f"Trino did not start: {_failure_line(self._log)}"
        except (OSError, subprocess.SubprocessError, LocalCloudError) as error:
            self._failure = f"Trino did not start: {error}"

    def _run_once(self) -> bool:
        """Start the process, say when it answers, and wait for its end; whether it has answered."""
        with self._lock:
            if self._stopping.is_set():
                return False
            self._process = process = self._spawn()
        while process.poll() is None and not self._answers():
            self._stopping.wait(POLL_SECONDS)
        has_answered = process.poll() is None
        if has_answered:
            self._ready.set()
        process.wait()
        self._ready.clear()
        return has_answered

    def _answers(self) -> bool:
        """Whether a query works; the server reports itself as started slightly too early."""
        with suppress(trino.exceptions.Error, requests.RequestException, ValueError):
            if self._catalogs is not None:
                self._client.run(f"CREATE SCHEMA IF NOT EXISTS {self._catalogs.unloads}.{SCHEMA}")
            return self._client.run("SELECT count(*) FROM (VALUES 1) AS one (x)") == [[1]]
        return False

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [
            str(self._java / "java"),
            *_JAVA_OPTIONS,
            f"-Djava.io.tmpdir={self._folder / 'tmp'}",
            f"-Dnode.data-dir={self._folder / 'data'}",
            f"-Dconfig={self._folder / 'config.properties'}",
            "-cp",
            f"{self._programs / 'lib'}/*",
            "io.trino.server.TrinoServer",
        ]
        confined = Confined(command, os.getpid(), death_signal=signal.SIGKILL.value)
        with private_files.open_log(self._log) as log:
            return _Popen(
                launcher(confined),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _configure(self) -> None:
        """Write its files, with keys that are new each time."""
        for name in ("data", "tmp"):
            (self._folder / name).mkdir(parents=True, mode=0o700)
        password = secrets.token_hex(16)
        self._make_certificate(password)
        private_files.write(self._folder / "token.key", base64.b64encode(self._secret).decode())
        internal_port = free_port()
        _write_properties(
            self._folder / "config.properties",
            {
                "coordinator": "true",
                "node-scheduler.include-coordinator": "true",
                "node.environment": "local",
                "node.id": "local",
                "node.bind-ip": LOOPBACK,
                "node.internal-address": LOOPBACK,
                "discovery.uri": f"http://{LOOPBACK}:{internal_port}",
                "http-server.http.port": str(internal_port),
                "http-server.https.enabled": "true",
                "http-server.https.port": str(self._client.port),
                "http-server.https.keystore.path": str(self._folder / "keys.p12"),
                "http-server.https.keystore.key": password,
                "http-server.authentication.type": "JWT",
                "http-server.authentication.jwt.key-file": str(self._folder / "token.key"),
                "http-server.log.enabled": "false",
                "internal-communication.shared-secret": secrets.token_hex(32),
                "plugin.dir": str(self._programs / "plugin"),
                "query.max-length": "1000000",
                "query.max-history": "20",
                "query.min-expire-age": "30s",
                "query.max-memory": f"{QUERY_MEGABYTES}MB",
                "query.max-memory-per-node": f"{QUERY_MEGABYTES}MB",
                "memory.heap-headroom-per-node": f"{HEADROOM_MEGABYTES}MB",
                **self._provide_catalogs(),
            },
        )

    def _provide_catalogs(self) -> dict[str, str]:
        """Write those of one cloud, or let clients create them; the settings for this."""
        if self._catalogs is None:
            return {"catalog.management": "dynamic", "catalog.store": "memory"}
        self._catalogs.folder.mkdir(mode=0o700)
        folder = self._folder / "catalog"
        folder.mkdir(mode=0o700)
        for name, properties in self._catalogs.properties.items():
            file = folder / f"{name}.properties"
            _write_properties(file, {"connector.name": CONNECTOR, **properties})
        return {"catalog.config-dir": str(folder)}

    def _make_certificate(self, password: str) -> None:
        store = ["-alias", "trino", "-keystore", str(self._folder / "keys.p12"), "-storepass"]
        options = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650", "-dname"]
        names = [f"CN={LOOPBACK}", "-ext", f"SAN=ip:{LOOPBACK}", "-storetype", "PKCS12"]
        self._keytool("-genkeypair", *store, password, *options, *names)
        self._keytool("-exportcert", "-rfc", *store, password, "-file", self._certificate)

    def _keytool(self, *arguments: str) -> None:
        program = str(self._java / "keytool")
        ended = _Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = ended.communicate()
        if ended.returncode != 0:
            raise LocalCloudError(f"keytool {arguments[0]} failed: {output.decode().strip()}")


@contextmanager
def shared(folder: Path, log: Path) -> Iterator[SharedTrino]:
    """A server for clouds that create their catalogs, for the length of a block."""
    java = trino_programs.find_java()
    server = TrinoServer(trino_programs.provide(lambda _: None), java, folder, log, None)
    server.start()
    try:
        server.await_client().write(folder)
        yield SharedTrino(folder)
    finally:
        server.stop()


def _make_token(secret: bytes) -> str:
    """A JSON Web Token for the only user."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": USER}]
    signed = b".".join(_encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + _encode(hmac.digest(secret, signed, hashlib.sha256))).decode()


def _encode(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _write_properties(path: Path, properties: Mapping[str, str]) -> None:
    private_files.write(path, "".join(f"{name}={value}\n" for name, value in properties.items()))


def _failure_line(log: Path) -> str:
    """The log line that most likely says why it ended, and where the log is."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[-60:]]
    reasons = [line for line in lines if line.startswith(("1)", "Error", "Exception", "Caused by"))]
    reason = (reasons or [line for line in lines if line] or ["it printed nothing"])[-1]
    return f"{reason}; read {log}"
