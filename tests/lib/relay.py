"""Between workers and PostgreSQL: passes on what both say, some answers late, and counts statements.

What happens within a millisecond on an idle machine takes as long as a test wants here: an answer is on
its way while others change what it says. A process of its own, which ends with the test.
"""
import asyncio
import ctypes
import multiprocessing
import random
import signal

from processes import PR_SET_PDEATHSIG, companions, listens, wait_for

POLL = b"lease_follow" # what the connection that asks for changes sends, and no other


class Relay:
    """routes: {socket to listen on: socket of a server, which need not be there}. delay(dice, is_poll)
    says how many seconds an answer is held back; is_poll: it is one to a question what changed."""

    def __init__(self, routes, delay, seed):
        self.routes, self.delay, self.dice = routes, delay, random.Random(f"{seed} relay")
        self.count = multiprocessing.get_context("fork").Value("Q", 0)
        self.process = multiprocessing.get_context("fork").Process(target=self.run, daemon=True)
        for path in routes:
            path.parent.mkdir(mode=0o700)
        self.process.start()
        companions.add(self.process.pid)
        wait_for(lambda: all(map(listens, routes)), 20, f"the relay listens on {list(routes)}")

    @property
    def statements(self):
        """Sent so far, what prepares them counted as well, but those that ask what changed."""
        return self.count.value

    def run(self):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        asyncio.run(self.serve())

    async def serve(self):
        for path, server in self.routes.items():
            await asyncio.start_unix_server(lambda *streams, server=server: self.connect(server, *streams), path)
        await asyncio.Event().wait()

    async def connect(self, server, reader, writer):
        try:
            there = await asyncio.open_unix_connection(server)
        except OSError:
            writer.close()
            return
        connection = {"polls": False}
        await asyncio.gather(self.pass_on(reader, there[1], connection, True), self.pass_on(there[0], writer, connection, False))

    async def pass_on(self, source, sink, connection, is_question):
        try:
            while data := await source.read(65536):
                if is_question:
                    connection["polls"] = connection["polls"] or POLL in data
                    self.count.value += not connection["polls"]
                else:
                    await asyncio.sleep(self.delay(self.dice, connection["polls"]))
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.close()

    def stop(self):
        self.process.terminate()
        self.process.join()
