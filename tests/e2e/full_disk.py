#!/usr/bin/python3
"""PostgreSQL's disk is full, on a small one: writes are refused with 503, reads go on, nothing is
half done, and with room again the service is what it was."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from small_disk import SmallDisk  # noqa: E402

PLAN = 7
disk = SmallDisk()


def refused(s):
    """The last page has room for some changes yet. Returns the refusal, and what was taken last."""
    for turn in range(1, 5000):
        response = s.request("PUT", CONTAINER + "example", {"cpu_nanos": turn})
        if response.status != 204:
            return response, turn - 1
    raise RuntimeError("the disk does not fill up")


def move(s, tablespace):
    """History, in one piece or in many."""
    parts = s.cluster.sql("SELECT relid FROM pg_partition_tree('runtime_catalog.change') WHERE isleaf").splitlines()
    for table in parts or ["runtime_catalog.change"]:
        s.cluster.sql(f"ALTER TABLE {table} SET TABLESPACE {tablespace}")


def main(s):
    s.expect("worker", "STORAGE_AWAY: SQLSTATE 53100")
    s.register("example")
    # A tablespace is a folder of its own that is empty.
    (disk.path / "data").mkdir()
    s.cluster.sql(f"CREATE TABLESPACE small LOCATION '{disk.path}/data'")
    move(s, "small")
    disk.fill()
    response, taken = refused(s)
    s.answer("a write that the disk has no room for: 503", response, 503, errors=["storage is full"])
    s.tap.equal(response.header("Retry-After"), "1", "which says when to come again")
    said = [line for line in lines_of(s.worker_log) if "53100" in line]
    s.tap.ok(len(said) == 1 and "[ERROR]" in said[0], "and is told in the log, and not tried again", *said)
    read = s.request("GET", CONTAINER + "example")
    s.answer("reads go on", read, 200)
    s.tap.equal(read.data["cpu_nanos"], taken, "and show what was taken, all of it and no more")
    disk.clear()
    wait_for(lambda: s.request("PUT", CONTAINER + "example", {"cpu_nanos": 77}).status == 204, 20, "there is room again, and writes are taken")
    s.tap.equal(s.request("GET", CONTAINER + "example").data["cpu_nanos"], 77, "with room again writes are taken by themselves")
    s.tap.equal(s.cluster.sql("SELECT count(*) FROM runtime_catalog.change WHERE (new->>'cpu_nanos')::bigint = 77"), "1", "and recorded once")
    move(s, "pg_default")
    s.cluster.sql("DROP TABLESPACE small")


with stack(plan=PLAN, bring=disk.bring) as s:
    if disk.reason:
        for number in range(PLAN):
            s.tap.skip(f"a full disk, {number + 1}", disk.reason)
    else:
        try:
            main(s)
        finally:
            disk.close()
