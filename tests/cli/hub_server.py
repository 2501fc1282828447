"""Plays the Hugging Face hub on 127.0.0.1, with faults, for test_hub.sh.

    hub_server.py ROOT      ROOT/OWNER/NAME/FILE...: the models; prints "HUB-PORT CDN-PORT TLS-PORT" and serves

Large files (.safetensors, .bin) are redirected to a second port, the CDN, as the hub does; NAME alone is redirected to OWNER/NAME.
With ROOT/tls.pem (certificate and key) a third port serves the hub over TLS.
Every request is a line of ROOT/log: hub|cdn METHOD PATH [range=...] [auth=...]. ROOT/faults is read anew for each request; a line is

    WHERE FAULT [WORDS...] [times=N]      WHERE is api, head, get or cdn, and "/" with a file's name behind it or without

and the first line that fits plays its fault (the first N times): see the functions fault_*. It ends with the program that started it.
"""
import hashlib
import json
import os
import pathlib
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

root = pathlib.Path(sys.argv[1])
lock = threading.Lock()
played = {}
cdn_port = 0


def is_large(name):
    return name.endswith((".safetensors", ".bin"))


def etag_of(path):
    data = path.read_bytes()
    if is_large(path.name):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def files_of(repo):
    folder = root / repo
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def commit_of(repo):
    text = "".join(name + etag_of(root / repo / name) for name in files_of(repo))
    return hashlib.sha1(text.encode()).hexdigest()


def find_fault(where, name):
    """The words of the first line of ROOT/faults that fits, or []."""
    try:
        text = (root / "faults").read_text()
        stamp = (root / "faults").stat().st_mtime_ns
    except FileNotFoundError:
        return []
    for number, line in enumerate(text.splitlines()):
        words = line.split()
        if not words or words[0] not in (where, where + "/" + name):
            continue
        times = [int(w[6:]) for w in words if w.startswith("times=")]
        with lock:
            key = (stamp, number)
            played[key] = played.get(key, 0) + 1
            if times and played[key] > times[0]:
                continue
        return [w for w in words[1:] if not w.startswith("times=")]
    return []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    side = "hub"

    def log_message(self, *args):
        pass

    def note(self):
        line = f"{self.side} {self.command} {self.path}"
        for header, word in (("Range", "range"), ("Authorization", "auth")):
            if self.headers[header]:
                line += f" {word}={self.headers[header].replace(' ', '_')}"
        with lock, open(root / "log", "a") as log:
            log.write(line + "\n")

    def answer(self, code, body=b"", headers=(), length=None):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def redirect(self, code, where, headers=()):
        self.answer(code, b"moved", [("Location", where), *headers])

    # ---- Faults that any request may have ----

    def fault_status(self, code, *headers):
        """status CODE [HEADER=VALUE...]"""
        self.answer(int(code), b"{\"error\": \"a fault\"}", [h.split("=", 1) for h in headers])

    def fault_html(self):
        self.answer(200, b"<html><body>Please sign in</body></html>", [("Content-Type", "text/html")])

    def fault_text(self, *words):
        """text WORDS...: as it stands, as JSON"""
        self.answer(200, " ".join(words).encode(), [("Content-Type", "application/json")])

    def fault_circle(self):
        self.redirect(307, self.path)

    def fault_to(self, where):
        self.redirect(307, where)

    def fault_drop(self):
        self.close_connection = True

    # ---- and those of a file's body ----

    def send_file(self, path, fault):
        kind, words = (fault[0], fault[1:]) if fault else ("", [])
        data, start = path.read_bytes(), 0
        length = len(data)
        wanted = self.headers["Range"]
        if wanted and kind == "416":
            return self.answer(416, b"", [("Content-Range", f"bytes */{length}")])
        if wanted and kind != "norange":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= length:
                return self.answer(416, b"", [("Content-Range", f"bytes */{length}")])
        headers = [("ETag", f'"{etag_of(path)}"'), ("Accept-Ranges", "bytes")]
        if start:
            shift = 1 if kind == "shifted" else 0  # another range than the one that was asked for
            start -= shift
            headers.append(("Content-Range", f"bytes {start}-{length - 1}/{length}"))
        body = bytearray(data[start:])
        announced = len(body)
        if kind == "corrupt" and body:
            body[-1] ^= 1
        elif kind == "short":
            del body[-1:]
            announced = len(body)
        elif kind == "long":
            body += b"more"
            announced = len(body)
        elif kind in ("cut", "stall"):
            del body[int(words[0]):]
        code = 206 if start or (wanted and kind != "norange") else 200
        self.answer(code, bytes(body), headers, announced)
        if kind in ("cut", "stall"):
            self.wfile.flush()
            if kind == "stall":  # until the client hangs up
                self.connection.recv(1)
            self.close_connection = True

    # ---- The hub ----

    def serve(self, where, name, go_on):
        fault = find_fault(where, name)
        play = getattr(self, "fault_" + fault[0], None) if fault else None
        return play(*fault[1:]) if play else go_on(fault)

    def do_GET(self):
        self.note()
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if path.startswith("http"):
            path = urllib.parse.urlsplit(path).path  # asked as a proxy
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        words = parts[2:] if api else parts
        mark = "revision" if api else "resolve"
        if mark not in words:
            return self.answer(404)
        at = words.index(mark)
        repo, rest = "/".join(words[:at]), words[at + 1:]
        if "/" not in repo:
            owners = [p.parent.name for p in root.glob("*/" + repo) if p.is_dir()]
            if owners:
                return self.redirect(307, path.replace("/" + repo + "/", f"/{owners[0]}/{repo}/", 1))
        if not (root / repo).is_dir():
            return self.answer(404, b"{}", [("X-Error-Code", "RepoNotFound")])
        if api:
            return self.serve("api", "", lambda fault: self.send_model(repo, "/".join(rest), fault))
        revision, name = rest[0], "/".join(rest[1:])
        where = "head" if self.command == "HEAD" else "get"
        return self.serve(where, name, lambda fault: self.resolve(repo, revision, name, fault))

    do_HEAD = do_GET

    def knows(self, repo, revision):
        return revision in ("main", "v1", "refs/pr/1", commit_of(repo))

    def send_model(self, repo, revision, fault):
        if not self.knows(repo, revision):
            return self.answer(404, b"{}", [("X-Error-Code", "RevisionNotFound")])
        model = {"id": repo, "modelId": repo, "sha": commit_of(repo), "private": False, "tags": [], "downloads": 0,
                 "siblings": [{"rfilename": name} for name in files_of(repo)]}
        if fault[:1] == ["sha"]:
            model["sha"] = fault[1]
        if fault[:1] == ["sibling"]:
            model["siblings"].append({"rfilename": fault[1]})
        return self.answer(200, json.dumps(model).encode(), [("Content-Type", "application/json; charset=utf-8")])

    def resolve(self, repo, revision, name, fault):
        path = root / repo / name
        if not self.knows(repo, revision):
            return self.answer(404, b"", [("X-Error-Code", "RevisionNotFound")])
        if not path.is_file():
            return self.answer(404, b"", [("X-Error-Code", "EntryNotFound"), ("X-Repo-Commit", commit_of(repo))])
        kind = fault[0] if fault else ""
        commit = fault[1] if kind == "commit" else commit_of(repo)
        etag = fault[1] if kind == "etag" else etag_of(path)
        size = int(fault[1]) if kind == "size" else path.stat().st_size
        headers = [("X-Repo-Commit", commit)]
        if is_large(name):
            where = f"http://127.0.0.1:{cdn_port}/{repo}/{name}"
            return self.redirect(302, where, headers + [("X-Linked-Etag", f'"{etag}"'), ("X-Linked-Size", str(size))])
        if self.command == "HEAD":
            return self.answer(200, b"", headers + [("ETag", f'W/"{etag}"')], size)
        return self.send_file(path, fault)


class Cdn(Handler):
    side = "cdn"

    def do_GET(self):
        self.note()
        if self.headers["Authorization"]:
            return self.answer(400, b"a token has no business here")
        name = self.path.strip("/")
        if not (root / name).is_file():
            return self.answer(404)
        return self.serve("cdn", name.split("/")[-1], lambda fault: self.send_file(root / name, fault))

    do_HEAD = do_GET


def main():
    global cdn_port
    hub, cdn, tls = (ThreadingHTTPServer(("127.0.0.1", 0), kind) for kind in (Handler, Cdn, Handler))
    cdn_port = cdn.server_address[1]
    if (root / "tls.pem").exists():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(root / "tls.pem")
        tls.socket = context.wrap_socket(tls.socket, server_side=True)
    for server in (hub, cdn, tls):
        server.daemon_threads = True
        server.handle_error = lambda *args: None  # a client that hangs up is no news
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(hub.server_address[1], cdn_port, tls.server_address[1], flush=True)
    started_by = os.getppid()
    while os.getppid() == started_by:
        time.sleep(1)


main()
