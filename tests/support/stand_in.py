"""An HTTP server that answers as a test says: for services that no counterpart has, and for all the ways to fail."""
import http.server
import json
import re
import socket
import struct
import threading

from support import signed

# By whom a request is meant, as its address and headers say it, not its signature: the name in the credential scope.
# Source: botocore's models, signingName
BY_TARGET = {"AmazonSQS": "sqs", "DynamoDB_20120810": "dynamodb", "Kinesis_20131202": "kinesis",
             "Firehose_20150804": "firehose", "Logs_20140328": "logs", "AWSStepFunctions": "states",
             "Timestream_20181101": "timestream", "secretsmanager": "secretsmanager",
             "AmazonML_20141212": "machinelearning"}
BY_VERSION = {"2010-03-31": "sns", "2010-08-01": "monitoring"}


def signed_service(request):
    target = request["headers"].get("X-Amz-Target", "").split(".")[0]
    version = re.search(rb"&Version=([0-9-]+)", request["body"])
    if target:
        return BY_TARGET[target]
    if version and request["headers"].get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return BY_VERSION[version[1].decode()]
    if request["path"].startswith("/tracking/v0/"):
        return "geo"
    if request["path"].startswith("/2015-03-31/functions/"):
        return "lambda"
    return "es" if "/_doc/" in request["path"] else "s3"


class StandIn:
    """answer(number, request) returns (status, headers, body), or one of SLOW, CUT, RESET. Requests are kept.
    key (id, secret): a request that is not signed well with it is refused, as AWS does, whatever `answer` says."""
    SLOW, CUT, RESET = "slow", "cut", "reset"

    def __init__(self, answer, key=None):
        outer = self
        self.requests, self.answer, self.let_go = [], answer, threading.Event()
        self.lock, self.faults = threading.Lock(), []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = {"method": self.command, "path": self.path, "headers": dict(self.headers.items()),
                           "body": body}
                with outer.lock:
                    number = len(outer.requests)
                    outer.requests.append(request)
                fault = key and signed.fault_of(request, signed_service(request), key)
                outer.faults += [fault] if fault else []
                told = (403, {}, json.dumps({"__type": "InvalidSignatureException", "message": fault}).encode()) \
                    if fault else outer.answer(number, request)
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
