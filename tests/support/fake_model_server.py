"""A server with OpenAI's interface on this machine, that answers as it is told: tokens of the seed, or a fault."""

import json
import random
import threading
import time
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "served-model"


class FakeServer:
    """faults: what happens to the next requests for rows, before they are answered. asked: the bodies of requests."""

    def __init__(self, owner="vllm", *, has_edt=True, answer=None, models=(MODEL,), key=None):
        self.owner, self.has_edt, self.models, self.key = owner, has_edt, models, key
        self.answer = answer or self.tokens_of_seed
        self.faults, self.asked, self.headers, self.times = deque(), [], [], []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @staticmethod
    def tokens_of_seed(body):
        draw = random.Random(body["seed"])
        return [draw.randrange(5, 60) for _ in range(body.get("max_tokens", body.get("n_predict")))], "length"

    def reply(self, path, body):
        """Status and content of a request for a row, or a fault's name."""
        rule = (body.get("vllm_xargs") or {}).get("edt")
        if rule is not None and self.has_edt and not json.loads(rule):
            message = "extra_args['edt'] lacks t0 and theta; the family edt needs t0 and theta."
            return 400, {"error": {"message": message}}
        if rule == "{}":
            return 200, self.written([7], "length", None)
        with self.lock:
            self.asked.append(body)
            self.times.append(time.monotonic())
            fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            return fault
        if path == "/completion":
            ids, ended = self.answer(body)
            how = {"length": "limit", "stop": "eos"}[ended]
            return 200, {"content": " ".join(map(str, ids)), "tokens": ids, "stop_type": how, "truncated": False}
        ids, ended = self.answer(body)
        return 200, self.written(ids, ended, body.get("return_token_ids"))

    @staticmethod
    def written(ids, ended, with_ids):
        choice = {"index": 0, "text": " ".join(map(str, ids)), "finish_reason": ended}
        return {"choices": [{**choice, "token_ids": ids} if with_ids else choice]}


@contextmanager
def serving(server):  # noqa: C901  the handler's methods are within
    """Give the base address of a fake server that runs in threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def send(self, status, content, headers=()):
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(payload)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def refused(self):
            server.headers.append(dict(self.headers))
            if server.key is None or self.headers.get("Authorization") == f"Bearer {server.key}":
                return False
            self.send(401, {"error": {"message": f"Incorrect API key: {self.headers.get('Authorization')}"}})
            return True

        def do_GET(self):
            if self.refused():
                return
            if self.path == "/v1/models":
                data = [{"id": name, "owned_by": server.owner, "max_model_len": 64} for name in server.models]
                return self.send(200, {"data": data})
            return self.send(404, {"detail": "Not Found"})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.refused():
                return
            with server.lock:
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                status, content, *headers = server.reply(self.path, body)
                if status == "cut":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                    self.close_connection = True
                    return
                self.send(status, content, headers)
            finally:
                with server.lock:
                    server.at_once -= 1

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
