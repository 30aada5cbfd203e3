"""One runtime, followed write by write: what each must lead to, and what it must hold by then."""
from coercion import DEFAULTS, outcome
from harness import CONTAINER


class Runtime:
    def __init__(self, s, name):
        self.s, self.path, self.name = s, CONTAINER + name, name
        self.connection = s.client.connect()
        self.record = DEFAULTS
        s.register(name)

    def write(self, method, body, headers=(), expected=None):
        """Writes, reads back; returns what is not as the oracle has it, or as an outcome that was
        expected instead; nothing if all is well."""
        response = self.s.request(method, self.path, body, headers=headers, connection=self.connection)
        wrong = self.check(response, expected or outcome(body or b""))
        return [f"{method} {(body or b'')[:300]}", *wrong] if wrong else []

    def check(self, response, expected):
        """What is wrong about the answer to a write, and about what a read has to say then."""
        stored, pattern = expected
        wrong = list(self.s.faults_of(response, 400 if stored is None else 204))
        if pattern:
            wrong += self.s.faults_of_text(response, pattern)
        if wrong:
            wrong.append(response)
        self.record = stored or self.record
        read = self.s.request("GET", self.path, connection=self.connection)
        record = dict(sorted({**self.record, "name": self.name, "type": "container"}.items()))
        # As text: in Python, 1 and True and 1.0 are equal.
        if read.status != 200 or repr(read.data) != repr(record):
            wrong.append(f"it does not hold {record}\n{read}")
        return wrong
