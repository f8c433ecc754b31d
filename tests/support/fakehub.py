"""A hub on this machine: enough of its interface for plans from headers, and a count of the bytes it gave away."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """`address` for HF_ENDPOINT; `given` maps a file to the bytes of it that were sent."""

    address: str = ""
    ranges: bool = True
    given: dict[str, int] = field(default_factory=dict)


@contextmanager
def fake_hub(folder: Path, ranges: bool = True) -> Iterator[FakeHub]:
    """Serve folder/ORG/NAME as repositories."""
    hub = FakeHub(ranges=ranges)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder, hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(folder: Path, hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, body: bool) -> None:
            parts = urlsplit(self.path).path.strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                repository = folder / parts[2] / parts[3]
                return self._json(_about(repository, "/".join(parts[2:4]), tree="tree" in parts), body)
            path = folder / parts[0] / parts[1] / parts[-1]
            return self._file(path, body) if path.is_file() else self._send(404, b"", {}, body)

        def _json(self, value: object, body: bool) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, body)

        def _file(self, path: Path, body: bool) -> None:
            raw, code, more = path.read_bytes(), 200, {}
            etag = hashlib.sha256(raw).hexdigest()
            wanted = self.headers.get("Range")
            if wanted and hub.ranges:
                lo, _, hi = wanted.removeprefix("bytes=").partition("-")
                more = {"Content-Range": f"bytes {wanted.removeprefix('bytes=')}/{len(raw)}"}
                raw, code = raw[int(lo) : int(hi) + 1], 206
            if body:
                hub.given[path.name] = hub.given.get(path.name, 0) + len(raw)
            self._send(code, raw, {"ETag": f'"{etag}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes", **more}, body)

        def _send(self, code: int, raw: bytes, head: dict[str, str], body: bool) -> None:
            self.send_response(code)
            for key, value in {**head, "Content-Length": str(len(raw))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(raw)

    return Handler


def _about(repository: Path, name: str, tree: bool) -> object:
    files = sorted(p for p in repository.iterdir() if p.is_file())
    if tree:
        return [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40} for p in files]
    return {"id": name, "sha": SHA, "siblings": [{"rfilename": p.name} for p in files], "tags": []}
