"""PgBouncer in front of a test's PostgreSQL, private as that is: on a socket only, with a password."""
import signal

from processes import start, stop, wait_for_listener

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
server_lifetime = {lifetime}
"""


class Pooler:
    def __init__(self, folder, cluster):
        self.folder, self.cluster, self.child = folder, cluster, None
        self.log, self.users = folder / "pgbouncer.log", folder / "users.txt"
        folder.mkdir(mode=0o700)

    def url(self, role="runtime_catalog_worker"):
        return f"host={self.folder} port={PORT} dbname=runtime_catalog user={role} password={PASSWORD}"

    def configure(self, mode, size, lifetime=3600):
        (self.folder / "pgbouncer.ini").write_text(
            SETTINGS.format(cluster=self.cluster.socket, folder=self.folder, port=PORT, mode=mode, size=size,
                            lifetime=lifetime))

    def start(self, mode, size):
        self.configure(mode, size)
        self.users.write_text(f'"runtime_catalog_worker" "{PASSWORD}"\n')
        self.child = start(["pgbouncer", "-q", self.folder / "pgbouncer.ini"], self.log)
        wait_for_listener(self.child, self.folder / f".s.PGSQL.{PORT}", self.log)

    def reload(self, mode, size):
        """From now on each transaction has a new session of PostgreSQL, as they come anew in the long run."""
        self.configure(mode, size, lifetime=0)
        self.child.send_signal(signal.SIGHUP)

    def stop(self):
        """At once: who is connected is cut off, and no file shows the password any more."""
        self.users.unlink(missing_ok=True)
        if self.child:
            stop(self.child, signal.SIGTERM)
            self.child = None
