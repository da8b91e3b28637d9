"""A proxy in front of a site, as nginx's `proxy_add_x_forwarded_for`: to what the client says of itself it adds whom it was asked by."""
import http.client, http.server, threading

PASSED_ON = ["Cookie", "Content-Type", "User-Agent"]


class Proxy:
    """Stands for a client elsewhere: whoever asks here comes from `address`."""

    def __init__(self, site, address):
        class Handler(http.server.BaseHTTPRequestHandler):
            def forward(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                said = self.headers["X-Forwarded-For"]
                headers = {n: self.headers[n] for n in PASSED_ON if self.headers[n]}
                headers |= {"Host": f"127.0.0.1:{site.port}", "X-Forwarded-For": f"{said}, {address}" if said else address}
                connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                connection.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name in ["Location", "Content-Type", "Set-Cookie"]:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_HEAD = forward

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
