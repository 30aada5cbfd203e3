"""Reads an audit log as its users do: a line a record, JSON each."""
import hashlib
import hmac
import json
import re

LINE = re.compile(rb"[\x20-\x7e\x80-\xff]+")


class AuditLog:
    """`cluster` has the salt."""

    def __init__(self, path, cluster):
        self.path = path
        self.salt = cluster.sql("SELECT salt FROM runtime_catalog.audit_salt").encode()
        self.read_to = 0

    def hash(self, text):
        if isinstance(text, str):
            text = text.encode()
        return "hmac-sha256:" + hmac.new(self.salt, text, hashlib.sha256).hexdigest()

    def new(self):
        """The records since the last time."""
        with open(self.path, "rb") as file:
            file.seek(self.read_to)
            data = file.read()
        self.read_to += len(data)
        return records(data)


def faults_of_line(line):
    """What keeps a line from being exactly one record."""
    try:
        record = json.loads(line)
    except ValueError as error:
        return [f"{error}: {line[:300]}"]
    if not isinstance(record, dict) or record.get("type") not in ("request", "response"):
        return [f"no record: {line[:300]}"]
    if not LINE.fullmatch(line) or not record.keys() <= {"time", "auth", "error", "request", "response", "type"}:
        return [f"a byte or a key that has no place there: {line[:300]}"]
    return []


def faults(data):
    lines = data.split(b"\n")
    wrong = [fault for line in lines[:-1] for fault in faults_of_line(line)]
    return wrong + ([f"the last line is not whole: {lines[-1][:300]}"] if lines[-1] else [])


def records(data):
    return [json.loads(line) for line in data.splitlines()]
