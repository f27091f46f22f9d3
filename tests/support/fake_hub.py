"""A hub on this machine: it answers the requests that `huggingface_hub` makes for a data set's files, and counts bytes.

Its answers follow the hub's HTTP interface: /api/datasets/ID/revision/REV and /api/datasets/ID/tree/COMMIT describe the
repository, /datasets/ID/resolve/COMMIT/PATH gives a file, with HEAD and Range.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(ThreadingHTTPServer):
    """Serves one data set, the files below `root`, as repository `repo` at revision `revision`."""

    daemon_threads = True

    def __init__(self, root: Path, repo: str, revision: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.repo, self.revision = root, repo, revision
        self.sent: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())


class Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        api, files = f"/api/datasets/{self.server.repo}", f"/datasets/{self.server.repo}/resolve/{COMMIT}/"
        if path in {f"{api}/revision/{revision}" for revision in (self.server.revision, COMMIT)}:
            siblings = [{"rfilename": str(file.relative_to(self.server.root))} for file in self.server.files()]
            self.give_json({"id": self.server.repo, "sha": COMMIT, "siblings": siblings, "tags": []}, with_body)
        elif path == f"{api}/tree/{COMMIT}" or path.startswith(f"{api}/tree/{COMMIT}/"):
            self.give_json(self.tree(path.removeprefix(f"{api}/tree/{COMMIT}").strip("/")), with_body)
        elif path.startswith(files) and (self.server.root / path.removeprefix(files)).is_file():
            self.give_file(path.removeprefix(files), with_body)
        else:
            missing = "RevisionNotFound" if path.startswith(f"{api}/") else "RepoNotFound"
            self.give(404, b"{}", {"X-Error-Code": missing, "Content-Type": "application/json"}, with_body)

    def tree(self, below: str) -> list[dict[str, object]]:
        folder = self.server.root / below
        folders = [path for path in folder.rglob("*") if path.is_dir()]
        entries = [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": str(path.relative_to(self.server.root))}
            for path in folders
        ]
        for file in self.server.files():
            if file.is_relative_to(folder):
                content = file.read_bytes()
                name = str(file.relative_to(self.server.root))
                oid = hashlib.sha1(content).hexdigest()
                entries.append({"type": "file", "oid": oid, "size": len(content), "path": name})
        return entries

    def give_file(self, name: str, with_body: bool) -> None:
        content = (self.server.root / name).read_bytes()
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        status = 200
        if wanted := self.headers.get("Range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last or len(content)) + 1, len(content))
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
            content, status = content[start:end], 206
        if with_body:
            self.server.sent[name] = self.server.sent.get(name, 0) + len(content)
        self.give(status, content, headers, with_body)

    def give_json(self, value: object, with_body: bool) -> None:
        self.give(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, with_body)

    def give(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@contextmanager
def serve(root: Path, repo: str, revision: str) -> Iterator[FakeHub]:
    """The fake hub, running."""
    with FakeHub(root, repo, revision) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()
