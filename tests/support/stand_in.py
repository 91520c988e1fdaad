"""An HTTP server that answers as a test says: for services that no counterpart has, and for all the ways to fail."""
import http.server
import socket
import struct
import threading


class StandIn:
    """answer(number, request) returns (status, headers, body), or one of SLOW, CUT, RESET. Requests are kept."""
    SLOW, CUT, RESET = "slow", "cut", "reset"

    def __init__(self, answer):
        outer = self
        self.requests, self.answer, self.let_go = [], answer, threading.Event()
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = {"method": self.command, "path": self.path, "headers": dict(self.headers.items()),
                           "body": body}
                with outer.lock:
                    number = len(outer.requests)
                    outer.requests.append(request)
                told = outer.answer(number, request)
                if told == StandIn.SLOW:
                    outer.let_go.wait(60)
                elif told == StandIn.CUT:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
                    self.wfile.flush()
                elif told == StandIn.RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    status, headers, text = told
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                    return
                self.close_connection = True
                self.connection.close()

            do_GET = do_PUT = do_POST = any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a connection that the test cut

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self):
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
