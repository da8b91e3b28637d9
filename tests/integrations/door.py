"""Stands in front of the gateway: lets requests through and keeps them, is closed, or hangs."""
import http.server, threading, time, urllib.error, urllib.request

FORWARDED = ["Content-Type", "Content-Encoding", "Logystera-Signature"]


class Door:
    def __init__(self, gateway):
        self.gateway, self.requests, self.server, self.hanging = gateway, [], None, threading.Event()
        self.port = None
        self.open()

    def dsn(self, dsn):
        return dsn.replace(f":{self.gateway.port}/", f":{self.port}/")

    def open(self):
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                door.requests.append((dict(self.headers), body))
                while door.hanging.is_set():
                    time.sleep(0.1)
                request = urllib.request.Request(f"http://127.0.0.1:{door.gateway.port}/v1/batches", body,
                                                 {n: self.headers[n] for n in FORWARDED if self.headers[n]})
                try:
                    answer = urllib.request.urlopen(request, timeout=60)
                except urllib.error.HTTPError as error:
                    answer = error
                text = answer.read()
                self.send_response(answer.status)
                for name in ["Content-Type", "Retry-After"]:
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # Who waited has gone.

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address, daemon_threads = True, True

        self.server = Server(("127.0.0.1", self.port or 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        """Nobody listens any more."""
        self.server.shutdown()
        self.server.server_close()

    def hang(self):
        """Takes requests and answers none."""
        self.hanging.set()

    def go_on(self):
        self.hanging.clear()
