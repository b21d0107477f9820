"""A local stand-in for the Hugging Face hub: its file routes, headers, redirects and failures.

Routes as huggingface.co has them: HEAD and GET /owner/name/resolve/revision/file, with X-Repo-Commit and an ETag (git's
SHA-1, or a large file's SHA-256 with a redirect to another path), byte ranges, and 404s that say what is missing.
"""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does in a new process."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


COMMIT = "c0ffee" + 34 * "0"


@dataclass
class Hub:
    """What the server serves and how it misbehaves; the tests change it between two runs."""

    repos: dict[str, Path] = field(default_factory=dict)
    commit: str = COMMIT
    break_after: int | None = None  # bytes of a large file after which the connection drops; then the hub is down
    size_error: int = 0  # added to the size that HEAD promises of a large file
    damage: bool = False  # a large file arrives with its last byte changed
    mirror: bool = False  # an ETag is something other than a checksum
    down: bool = False  # 503 for everything
    answers_left: int | None = None  # then the hub is down
    status: int | None = None  # another status for everything, with this error code
    error_code: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, file, Range header
    url: str = ""

    def __enter__(self) -> "Hub":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """From here on nothing listens; a second call does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def downloaded(self) -> list[str]:
        """Names of the files whose content was asked for, in order, each redirect's target once."""
        return [name for method, name, _ in self.requests if method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        route = re.fullmatch(r"/(?:(cdn)/)?([^/]+/[^/]+)/resolve/([^/]+)/([^/]+)", self.path)
        if self.hub.answers_left is not None:
            self.hub.down = self.hub.answers_left == 0
            self.hub.answers_left = max(0, self.hub.answers_left - 1)
        if self.hub.down or self.hub.status:
            return self._reply(self.hub.status or 503, {"X-Error-Code": self.hub.error_code})
        if not route or route[2] not in self.hub.repos:
            return self._reply(404, {"X-Error-Code": "RepoNotFound"})
        on_cdn, repo, revision, name = route.groups()
        path = self.hub.repos[repo] / name
        if revision not in ("main", self.hub.commit):
            return self._reply(404, {"X-Error-Code": "RevisionNotFound"})
        commit = {"X-Repo-Commit": self.hub.commit}
        if not path.is_file():
            return self._reply(404, {"X-Error-Code": "EntryNotFound", **commit})
        content = path.read_bytes()
        large = path.suffix == ".safetensors"
        if not large:
            self._note(name)
            return self._reply(200, {"ETag": f'"{name if self.hub.mirror else git_sha1(content)}"', **commit}, content)
        if not on_cdn:
            size = str(len(content) + self.hub.size_error)
            linked = {"X-Linked-Size": size, "X-Linked-Etag": f'"{name if self.hub.mirror else sha256(content)}"'}
            # Another host name, as the real hub's: only such a redirect is kept from being followed by HEAD.
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
            return self._reply(302, {"Location": f"{elsewhere}/cdn{self.path}", **linked, **commit})
        return self._large(name, content)

    def _large(self, name: str, content: bytes) -> None:
        self._note(name)
        start = int((re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        if self.hub.damage:
            content = content[:-1] + bytes([content[-1] ^ 1])
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        cut = self.hub.break_after
        self.hub.down = cut is not None
        self._reply(206 if start else 200, headers, content[start:], cut)

    def _note(self, name: str) -> None:
        self.hub.requests.append((self.command, name, self.headers.get("Range", "")))

    def _reply(
        self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", cut: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
