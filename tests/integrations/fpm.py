"""PHP-FPM behind a small web server: where PHP can end an answer and go on. FastCGI 1.0, as far as it takes."""
import http.server, os, shutil, socket, struct, subprocess, threading, time
from wordpress import START_S, as_nobody, free_port, wait_for

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
POOL = """[global]
error_log = {log}
daemonize = no
[www]
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 4
clear_env = no
catch_workers_output = yes
"""


def binary():
    found = [shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") for name in ["php-fpm", "php-fpm8.2", "php-fpm8.4"]]
    return next(filter(None, found), None)


def record(kind, body):
    return struct.pack("!BBHHBB", 1, kind, 1, len(body), 0, 0) + body


def pair(name, value):
    length = lambda b: bytes([len(b)]) if len(b) < 128 else struct.pack("!I", len(b) | 1 << 31)
    name, value = name.encode(), value.encode()
    return length(name) + length(value) + name + value


def ask(port, params, body):
    """One request; gives what was answered until PHP said that it was all."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall(record(BEGIN, struct.pack("!HB5x", 1, 0)) + record(PARAMS, b"".join(pair(*p) for p in params.items())) + record(PARAMS, b""))
        for i in range(0, len(body), 60000):
            s.sendall(record(STDIN, body[i:i + 60000]))
        s.sendall(record(STDIN, b""))
        stream, out = s.makefile("rb"), b""
        while True:
            _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", stream.read(8))
            data = stream.read(length + padding)[:length]
            if kind == STDOUT:
                out += data
            elif kind == END:
                return out


class Server:
    """Serves a site by PHP-FPM."""

    def __init__(self, site, *options):
        self.site, self.port = site, free_port()
        config = site.scratch / f"{site.name}.fpm.conf"
        config.write_text(POOL.format(log=site.scratch / f"{site.name}.fpm.log", port=self.port))
        (site.scratch / f"{site.name}.fpm.log").touch()
        site.own(site.scratch / f"{site.name}.fpm.log")
        self.process = subprocess.Popen([*as_nobody(), binary(), "-y", config, *site.settings_of_php(), *options], stderr=subprocess.DEVNULL)
        def answers():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        wait_for("PHP-FPM", answers, START_S)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                status, headers, text = server.ask(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("status", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.front = http.server.ThreadingHTTPServer(("127.0.0.1", site.port), Handler)
        threading.Thread(target=self.front.serve_forever, daemon=True).start()

    def ask(self, method, target, headers, body=b""):
        """One request past the web server in front; gives status, headers and body."""
        path, _, query = target.partition("?")
        script = path if path.endswith(".php") else path.rstrip("/") + "/index.php"
        if not (self.site.folder / script[1:]).is_file():
            script = "/index.php"
        params = {"SCRIPT_FILENAME": f"{self.site.folder}{script}", "SCRIPT_NAME": script, "REQUEST_METHOD": method,
                  "REQUEST_URI": target, "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
                  "SERVER_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(self.site.port), "DOCUMENT_ROOT": str(self.site.folder),
                  "CONTENT_TYPE": headers.get("Content-Type") or "", "CONTENT_LENGTH": str(len(body))}
        params.update({"HTTP_" + n.upper().replace("-", "_"): v for n, v in headers.items()})
        head, _, text = ask(self.port, params, body).partition(b"\r\n\r\n")
        answered = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        return int(dict(answered).get("Status", "200")[:3]), answered, text

    def stop(self):
        self.front.shutdown()
        self.front.server_close()
        self.process.terminate()
        self.process.wait()
