"""The statements that the worker sends for a request, as scripts for pgbench: taken from
PostgreSQL's log, so that they are the worker's own, whatever it comes to send."""
import hashlib
import re

from cluster import lines_of
from servers import ask_directly

EXECUTED = re.compile(r"LOG:  execute (\w+): (.*)$")
PARAMETERS = re.compile(r"DETAIL:  parameters: (.*)$")
ONE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


class Statement:
    def __init__(self, name, sql, parameters):
        self.name = name
        self.sql = sql
        self.parameters = parameters # number: text, None for null

    def script(self, prefix, varying):
        """For pgbench, where $n becomes :prefix_n; null and empty texts, which -D does not take,
        stand in the statement. varying: number → what \\set takes."""
        sets = "".join(f"\\set {prefix}_{number} {expression}\n" for number, expression in varying.items())
        return sets + re.sub(r"\$(\d+)", lambda match: self.placeholder(prefix, int(match[1])), self.sql) + ";\n"

    def placeholder(self, prefix, number):
        value = self.parameters[number]
        return f":{prefix}_{number}" if value else "NULL" if value is None else "''"

    def definitions(self, prefix):
        return {f"{prefix}_{number}": value for number, value in self.parameters.items() if value}


def logged(lines):
    """Statements with their parameters, in order."""
    for line, detail in zip(lines, lines[1:]):
        statement, parameters = EXECUTED.search(line), PARAMETERS.search(detail)
        if statement and parameters:
            yield Statement(statement[1], statement[2],
                            {int(number): None if text == "NULL" else text[1:-1].replace("''", "'")
                             for number, text in ONE.findall(parameters[1])})


def statements_of(site, worker, method, uri, body=""):
    """What one request makes the worker send, where it is not the first of its kind. Statements that
    hold nothing of the request, such as those that follow changes, are left out."""
    for _ in range(2):
        before = len(lines_of(site.cluster.log))
        status = ask_directly(worker.socket, method, uri, site.token, body)
        if not status.startswith(b"Status: 20"):
            raise RuntimeError(f"{method} {uri}:\n{status.decode()}")
    hashed = "\\x" + hashlib.sha256(site.token.encode()).hexdigest()
    return [one for one in logged(lines_of(site.cluster.log)[before:]) if hashed in one.parameters.values()]


def log_statements(site, role, wanted):
    """For sessions that begin from now on."""
    site.cluster.sql(f"ALTER ROLE {role} SET log_statement = '{'all' if wanted else 'none'}'")
