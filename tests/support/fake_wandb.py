"""A W&B server on this machine: it answers what wandb asks of /graphql and takes what it uploads, and keeps all of it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

VIEWER = {
    "id": "1",
    "entity": "team",
    "username": "user",
    "email": "",
    "flags": "{}",
    "teams": {"edges": []},
    "apiKeys": {"edges": []},
}


class FakeWandb(ThreadingHTTPServer):
    """Keeps each run's summary, config and history lines by name, the artifacts' files, and every byte it received."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs: dict[str, dict] = {}
        self.artifact_files: dict[str, set[str]] = {}
        self.uploaded: dict[str, bytes] = {}
        self.received: list[bytes] = []
        self.resumed: list[str] = []
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that closes the connection is no error."""

    def take(self, path: str, body: bytes) -> None:
        with self.lock:
            self.received.append(path.encode() + b" " + body)

    def stream(self, name: str, content: dict) -> None:
        run = self.runs[name]
        files = content.get("files", {})
        for line in files.get("wandb-summary.json", {}).get("content", []):
            run["summary"] = json.loads(line)
        history = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
        run["history"][history["offset"] :] = history["content"]

    def answer(self, operation: str, given: dict) -> dict:
        with self.lock:
            found = getattr(self, f"do_{operation}", None)
            return {} if found is None else found(given)

    def do_Viewer(self, given):
        return {"viewer": VIEWER}

    def do_ServerFeaturesQuery(self, given):
        return {"serverInfo": {"features": []}}

    def do_UpsertBucket(self, given):
        name = given["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, {"summary": {}, "config": {}, "history": []})
        if given.get("config"):
            run["config"] = {k: v["value"] for k, v in json.loads(given["config"]).items()}
        run.update({k: given[k] for k in ("groupName", "displayName", "sweep") if given.get(k)})
        project = {"id": "1", "name": given["project"], "entity": {"id": "1", "name": "team"}}
        bucket = {"id": name, "name": name, "project": project, "historyLineCount": len(run["history"])}
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def do_RunResumeStatus(self, given):
        run = self.runs.get(given["name"])
        bucket = None
        if run is not None:
            self.resumed.append(given["name"])
            bucket = {
                "id": given["name"],
                "name": given["name"],
                "summaryMetrics": json.dumps(run["summary"]),
                "config": json.dumps({k: {"value": v} for k, v in run["config"].items()}),
                "historyLineCount": len(run["history"]),
                "eventsLineCount": 0,
                "logLineCount": 0,
                "historyTail": json.dumps(run["history"][-1:]),
                "eventsTail": "[]",
                "tags": [],
                "wandbConfig": '{"t": {"1": []}}',
            }
        return {"model": {"id": "1", "name": "edt", "entity": {"id": "1", "name": "team"}, "bucket": bucket}}

    def do_CreateRunFiles(self, given):
        files = [{"name": name, "uploadUrl": f"{self.url}/file/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}

    def do_CreateArtifact(self, given):
        name = given["input"]["artifactCollectionName"]
        sequence = {"id": name, "latestArtifact": None}
        return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": sequence}}}

    def do_CreateArtifactManifest(self, given):
        file = {"id": "1", "uploadUrl": f"{self.url}/manifest/{given['artifactID']}", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": given["artifactID"], "file": file}}}

    def do_CreateArtifactFiles(self, given):
        edges = []
        for file in given["input"]["artifactFiles"]:
            path = f"{file['artifactID']}/{file['name']}"
            self.artifact_files.setdefault(file["artifactID"], set()).add(file["name"])
            artifact = {"id": file["artifactID"]}
            url = f"{self.url}/artifact/{path}"
            edges.append({"node": {"storagePath": path, "uploadUrl": url, "uploadHeaders": [], "artifact": artifact}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def do_CommitArtifact(self, given):
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}

    def do_ArtifactType(self, given):
        return {"project": {"artifact": None}}


class Handler(BaseHTTPRequestHandler):
    server: FakeWandb
    protocol_version = "HTTP/1.1"

    def log_message(self, *values: object) -> None:
        """Say nothing."""

    def body(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.take(self.path, content)
        return content

    def reply(self, content: dict) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def do_GET(self) -> None:
        self.reply({})

    def do_PUT(self) -> None:
        self.server.uploaded[self.path] = self.body()
        self.reply({})

    def do_POST(self) -> None:
        content = json.loads(self.body() or b"{}")
        if self.path.endswith("/file_stream"):
            self.server.stream(self.path.split("/")[-2], content)
            return self.reply({"limits": {}})
        operation = re.search(r"(?:query|mutation)\s+(\w+)", content.get("query", ""))
        return self.reply(
            {"data": self.server.answer(operation[1] if operation else "", content.get("variables") or {})}
        )


@contextmanager
def fake_wandb() -> Iterator[FakeWandb]:
    """The server, running."""
    server = FakeWandb()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
