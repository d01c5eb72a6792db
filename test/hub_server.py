"""A Hugging Face Hub on this machine: the endpoints that a push and a pinned download use."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Repositories in memory, one commit each; started on a free port.

    Attributes:
        endpoint: for HF_ENDPOINT.
        files: content by path, of all commits, by repository.
        commits: (repository, message, paths) in order.
        private: by repository.
        token: the only one that may write.
    """

    def __init__(self, token: str = "hf_test"):
        self.token = token
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: list[tuple[str, str, list[str]]] = []
        self.private: dict[str, bool] = {}
        hub = self

        class Handler(_Handler):
            state = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def commit_id(self, repo: str) -> str:
        """The id of a repository's last commit."""
        content = json.dumps({k: _digest(v) for k, v in sorted(self.files[repo].items())})
        return hashlib.sha1(content.encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    state: Hub

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {self.state.token}":
            return self._json({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            return self._create(json.loads(body))
        repo, action = re.match(r"/api/models/([^/]+/[^/]+)/(\w+)/main", self.path).groups()
        if action == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        return self._commit(repo, [json.loads(line) for line in body.splitlines()])

    def _create(self, request: dict) -> None:
        repo = f"{request['organization']}/{request['name']}"
        if repo in self.state.files:
            return self._json({"error": "exists", "url": f"{self.state.endpoint}/{repo}"}, 409)
        self.state.files[repo] = {}
        self.state.private[repo] = bool(
            request.get("private") or request.get("visibility") == "private"
        )
        self._json({"url": f"{self.state.endpoint}/{repo}"})

    def _commit(self, repo: str, lines: list[dict]) -> None:
        added = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        self.state.files[repo] |= added
        (header,) = [line["value"] for line in lines if line["key"] == "header"]
        self.state.commits.append((repo, header["summary"], sorted(added)))
        commit = self.state.commit_id(repo)
        url = f"{self.state.endpoint}/{repo}/commit/{commit}"
        self._json({"commitUrl": url, "commitOid": commit, "hookOutput": "", "success": True})

    def do_GET(self):
        path = self.path.split("?")[0]
        if found := re.match(r"/api/models/([^/]+/[^/]+)(/tree/|/revision/|$)", path):
            return self._listing(found[1], found[2])
        found = re.match(r"/([^/]+/[^/]+)/resolve/(\w+)/(.+)", path)
        content = self.state.files[found[1]][found[3]]
        self.send_response(200)
        self.send_header("ETag", f'"{_digest(content)}"')
        self.send_header("X-Repo-Commit", found[2])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def _listing(self, repo: str, kind: str) -> None:
        if repo not in self.state.files:
            return self._json({"error": "Repository not found"}, 404)
        files = self.state.files[repo]
        if kind == "/tree/":
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}
                for name, content in files.items()
            ]
            return self._json(tree)
        siblings = [{"rfilename": name} for name in files]
        self._json({"id": repo, "sha": self.state.commit_id(repo), "siblings": siblings})

    def _json(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
