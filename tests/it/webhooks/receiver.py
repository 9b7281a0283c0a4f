"""A receiver of webhooks over TLS that believes nobody: it verifies each request with the `standardwebhooks` library.

usage: receiver.py PORT CERTIFICATE KEY SECRET...
What is posted to /0 is verified with the first secret, to /1 with the second. Right: 204. Wrong: 401.
Each request is a line of JSON on stdout, with the name that the client asked for over TLS (SNI).
"""

import http.server
import json
import ssl
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

port, certificate, key, *secrets = sys.argv[1:]


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(secrets[int(self.path[1:])]).verify(body, dict(self.headers))
            status = 204
        except WebhookVerificationError as error:
            status, self.error = 401, str(error)
        seen = {
            "status": status,
            "path": self.path,
            "id": self.headers["webhook-id"],
            "host": self.headers["host"],
            "name": self.connection.asked,
            "body": json.loads(body),
        }
        print(json.dumps(seen), flush=True)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


def remember(connection, name, _):
    connection.asked = name


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.sni_callback = remember
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
