#!/usr/bin/python3
"""Remove plugin runtime: gone, not there, or still in use, which the foreign key decides."""
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402


def in_use(name, plugins):
    return [f'unable to delete "{name}" runtime. Registered plugins=[{plugins}] are referencing it. '
            "The runtime is still in use."]


with stack(plan=17) as s:
    s.register("example")
    s.answer("DELETE", s.request("DELETE", CONTAINER + "example"), 204)
    s.answer("what was removed is not there", s.request("GET", CONTAINER + "example"), 404, errors=[])
    s.answer("nor in the list", s.request("LIST", CATALOG), 200, data={"runtimes": []})
    s.answer("DELETE again names what is missing", s.request("DELETE", CONTAINER + "example"), 404, like="example")
    s.answer("DELETE of a type that is not there", s.request("DELETE", CATALOG + "/docker/example"), 404,
             like="container")

    s.register("gvisor", cpu_nanos=5)
    s.register("other")
    s.plugin("p2", "gvisor", kind="secret")
    s.plugin("p1", "gvisor", kind="secret")
    s.plugin("free", "other", kind="auth")
    s.answer("a runtime that plugins reference", s.request("DELETE", CONTAINER + "gvisor"), 400,
             errors=in_use("gvisor", "p1 p2"))
    response = s.request("GET", CONTAINER + "gvisor")
    s.tap.equal((response.status, response.data["cpu_nanos"]), (200, 5), "is still there, as it was")
    s.cluster.sql("DELETE FROM runtime_catalog.plugin WHERE name = 'p2'")
    s.answer("one plugin fewer", s.request("DELETE", CONTAINER + "gvisor"), 400, errors=in_use("gvisor", "p1"))
    s.cluster.sql("DELETE FROM runtime_catalog.plugin WHERE name = 'p1'")
    s.answer("without plugins it goes", s.request("DELETE", CONTAINER + "gvisor"), 204)
    s.answer("and is gone", s.request("GET", CONTAINER + "gvisor"), 404, errors=[])
    s.answer("the other one is still referenced", s.request("DELETE", CONTAINER + "other"), 400,
             errors=in_use("other", "free"))
    s.plugin("free", "other", version="v1.0.0", kind="auth")
    s.answer("a plugin with two versions appears twice, as in Vault", s.request("DELETE", CONTAINER + "other"), 400,
             errors=in_use("other", "free free"))
    s.answer("an overwrite of what is in use", s.request("POST", CONTAINER + "other", {"cpu_nanos": 9}), 204)
    s.answer("changes it", s.request("GET", CONTAINER + "other?x=1"), 200)

    s.register("twin")
    statuses = []
    racers = [threading.Thread(target=lambda: statuses.append(s.request("DELETE", CONTAINER + "twin").status))
              for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    s.tap.equal(sorted(statuses), [204] + [404] * 7, "of eight that delete at once, one did it")
    s.answer("a body and a query are not read", s.request("DELETE", CONTAINER + "other?force=true", {"force": True}),
             400, like="in use")
    s.tap.equal(s.cluster.sql("SELECT count(*) FROM runtime_catalog.runtime"), "1", "one runtime is left")
