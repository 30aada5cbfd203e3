"""What the subjects share: the chain and its limits, each made when it is first asked for."""
import dataclasses
import json

from cluster import DATABASE
from harness import CATALOG, CONTAINER
from load import Requests, in_turn, wrk
from rows import compared, show
from servers import Front, Server, ask_directly

ROUNDS = 5
SECONDS = 2
RUNTIMES = 10000
CLIENTS = 32
EXAMPLE = {"oci_runtime": "runsc", "cgroup_parent": "/examplelimit/", "cpu_nanos": 1000, "memory_bytes": 10000000}
READ = Requests(CONTAINER + "%d", keys=1000)
LIST = Requests(CATALOG) # with GET: wrk refuses to send LIST
WRITE = Requests(CONTAINER + "%d", keys=RUNTIMES, method="POST", body=json.dumps(EXAMPLE))
BARE = "bare responder" # the name of limit 2 in tables
EMPTY = "empty" # a database that is migrated and holds the site's token, to copy


@dataclasses.dataclass
class Side:
    """What a load goes to: an nginx, what stands behind it, and whose CPU is counted."""
    front: Front
    server: Server
    programs: dict # name: pid


class Bench:
    def __init__(self, one, results):
        self.site = one
        self.results = results
        self.made = {}
        one.cluster.psql("-c", f"CREATE DATABASE {EMPTY} TEMPLATE {DATABASE}", database="postgres")
        fill(one, RUNTIMES)

    def once(self, name, make):
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def side(self, name, server, **more):
        front = self.site.front(name, server, **more)
        programs = {"nginx": front.pid}
        if server:
            programs["worker"] = server.pid
        return Side(front, server, programs)

    def ours(self, name="worker", **configuration):
        """A worker of that name, which has read what READ asks for; the configuration is that of its
        first use."""
        def make():
            side = self.side(name, self.site.worker(name, **configuration))
            side.programs["PostgreSQL"] = self.site.postgresql_pid()
            for key in range(1, READ.keys + 1):
                ask_directly(side.server.socket, "GET", READ.path % key, self.site.token)
            return side
        return self.once(name, make)

    def answer(self, path):
        """What the worker writes, headers and all."""
        answer = ask_directly(self.ours().server.socket, "GET", path, self.site.token)
        if not answer.startswith(b"Status: 200"):
            raise RuntimeError(f"GET {path}:\n{answer[:2000].decode()}")
        return answer

    def bare(self, path=CONTAINER + "1000", program="responder"):
        """What writes the same and does nothing else."""
        name = f"{program}-{path.rpartition('/')[2]}"
        return self.once(name, lambda: self.side(name, self.site.responder(name, self.answer(path), program)))

    def returning(self):
        """An nginx that returns the same body by itself."""
        def make():
            body = self.answer(CONTAINER + "1000").partition(b"\r\n\r\n")[2].decode()
            return self.side("return", None, instead="default_type application/json;\n"
                             "        add_header Cache-Control no-store;\n"
                             '        add_header Strict-Transport-Security "max-age=31536000; includeSubDomains";\n'
                             "        return 200 \"%s\";" % body.replace("\\", "\\\\").replace('"', '\\"'))
        return self.once("return", make)

    def load(self, side, requests, connections, kind="plain", seconds=SECONDS):
        return lambda: wrk(self.site, side.front, side.programs, requests, connections, seconds, kind)

    def compare(self, name, unit, loads, ours="worker", limit=BARE):
        """Runs loads in turn, and adds the row of two of them."""
        samples = in_turn(ROUNDS, loads)
        show(f"{name}, {unit}", samples)
        self.results.add(compared(name, unit, samples[ours], samples[limit]))
        return samples


def fill(one, runtimes):
    """Runtimes 1, 2, 3 … in the root namespace, with their history."""
    one.cluster.sql("INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cgroup_parent, cpu_nanos, memory_bytes)"
                    " SELECT namespace.id, 'container', number::text, '/examplelimit/', number, 10000000"
                    f"  FROM runtime_catalog.namespace, generate_series(1, {runtimes}) AS number WHERE path = ''")
    one.cluster.sql("VACUUM ANALYZE")
