"""PgBouncer in front of a test's PostgreSQL, private as that is: on a socket only, with a password."""
import signal

from processes import start, stop, wait_for

PORT = 6432
PASSWORD = "pooler-s3cret"
SETTINGS = """
[databases]
runtime_catalog = host={cluster} port=5432 dbname=runtime_catalog
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {mode}
default_pool_size = {size}
server_login_retry = 1
"""


class Pooler:
    def __init__(self, folder, cluster):
        self.folder, self.cluster, self.child = folder, cluster, None
        self.log = folder / "pgbouncer.log"
        folder.mkdir(mode=0o700)
        (folder / "users.txt").write_text(f'"runtime_catalog_worker" "{PASSWORD}"\n')

    def url(self, role="runtime_catalog_worker"):
        return f"host={self.folder} port={PORT} dbname=runtime_catalog user={role} password={PASSWORD}"

    def configure(self, mode, size):
        (self.folder / "pgbouncer.ini").write_text(
            SETTINGS.format(cluster=self.cluster.socket, folder=self.folder, port=PORT, mode=mode, size=size))

    def start(self, mode, size):
        self.configure(mode, size)
        self.child = start(["pgbouncer", "-q", self.folder / "pgbouncer.ini"], self.log)
        wait_for((self.folder / f".s.PGSQL.{PORT}").exists, 20, f"PgBouncer listens, see {self.log}")

    def reload(self, mode, size):
        self.configure(mode, size)
        self.child.send_signal(signal.SIGHUP)

    def stop(self):
        """At once: who is connected is cut off."""
        if self.child:
            stop(self.child, signal.SIGTERM)
            self.child = None
