"""A web server for what rules send outward: it notes each request and answers as the test says."""
import dataclasses
import http.server
import json
import queue
import socket
import ssl
import threading


@dataclasses.dataclass
class Request:
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Web:
    """web.answer(request) -> status, or (status, body); "cut" breaks off in mid-answer, a number of seconds waits."""

    def __init__(self, cert=None, key=None):
        self.requests, self.answer = queue.Queue(), lambda request: 200
        self.released, self.open = threading.Event(), []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                web.open.append(self.connection)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                answer = web.answer(request)
                web.requests.put(request)
                if answer == "hang":
                    web.released.wait(30)
                    self.close_connection = True
                    return
                if answer == "cut":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of")
                    self.wfile.flush()
                    self.connection.shutdown(2)
                    self.close_connection = True
                    return
                status, text = answer if isinstance(answer, tuple) else (answer, b"")
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.server.server_address[1]

    @property
    def url(self):
        return f"{self.scheme}://localhost:{self.port}"

    def take(self, timeout_s=10):
        return self.requests.get(timeout=timeout_s)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.open:
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                pass  # gone already
