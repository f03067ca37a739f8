"""A server of files on loopback that behaves in the way that the first folder of the address says:
http://127.0.0.1:PORT/BEHAVIOUR/FILE. usage: fetch_server.py FOLDER LOG; prints its port. LOG gets a
line for each request: behaviour, file, Range or "-"."""
import http.server
import os
import socketserver
import sys
import threading
import time

FOLDER, LOG = sys.argv[1:]
seen = set()
stopped = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def head(self, code, length, **fields):
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def do_GET(self):
        path = self.path
        if path.startswith("http://"):  # as a proxy is asked
            path = "/proxied/" + path.rsplit("/", 1)[1]
        _, behaviour, name = path.split("/", 2)
        with open(LOG, "a") as log:
            log.write(f"{behaviour} {name} {self.headers.get('Range', '-')}\n")
        first = (behaviour, name) not in seen
        seen.add((behaviour, name))
        self.answer(behaviour, name, first)

    def answer(self, behaviour, name, first):
        if behaviour in ("file", "loop", "moved"):
            to = {"file": f"file://{FOLDER}/{name}", "loop": f"/loop/{name}", "moved": f"/whole/{name}"}[behaviour]
            return self.head(302, 0, Location=to)
        try:
            with open(os.path.join(FOLDER, name), "rb") as file:
                content = file.read()
        except OSError:
            return self.head(404, 0)
        size, begin = len(content), 0
        asked = self.headers.get("Range")
        if asked and behaviour not in ("norange", "endless"):
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            if begin >= size:
                return self.head(416, 0, Content_Range=f"bytes */{size}")
        rest = content[begin:]
        if behaviour == "wrong" or (behaviour == "wrongonce" and begin > 0):
            rest = rest.translate(bytes(range(255, -1, -1)))
        claimed = {"short": len(rest) // 2, "long": len(rest) + 1000}.get(behaviour, len(rest))
        if behaviour == "endless":
            self.head(200, None)
            while not stopped.is_set():
                self.wfile.write(bytes(1 << 16))
        elif begin > 0:
            self.head(206, claimed, Content_Range=f"bytes {begin}-{begin + claimed - 1}/{size}")
        else:
            self.head(200, claimed)
        if behaviour == "cut" or (behaviour == "cutonce" and first):
            rest = rest[:len(rest) // 2]
        if behaviour == "silent":
            self.wfile.write(rest[:1000])
            self.wfile.flush()
            return stopped.wait()
        if behaviour == "slow":
            for at in range(0, len(rest), len(rest) // 10 + 1):
                self.wfile.write(rest[at:at + len(rest) // 10 + 1])
                time.sleep(0.02)
            return None
        return self.wfile.write(rest[:claimed])


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # the other side went away, which is what some of this is about


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
