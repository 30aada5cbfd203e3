"""What PostgreSQL refuses, and what becomes of it: the table of src/db_refusal.c, read as text."""
import pathlib
import re

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src"
# Read now: where the checkout lies may be closed to whom a test becomes.
ERRORS, REFUSALS = ((SOURCES / name).read_text() for name in ("error.h", "db_refusal.c"))
ROW = re.compile(r'\{"(\w+)", ERROR_(\w+), REMEDY_(\w+),\s*(.*?)\}', re.S)


def statuses():
    """Of error.h: {"IN_USE": 400, …}"""
    return {name: int(status) for name, status in re.findall(r"^ +X\((\w+), +(\d+),", ERRORS, re.M)}


def refusals():
    """{key: (error, remedy)}, in the order of the table. The first row that fits counts."""
    table = REFUSALS[REFUSALS.index("} refusals[] = {"):]
    table = table[:table.index("\n};")]
    return {key: (error, remedy) for key, error, remedy, _ in ROW.findall(table)}


def is_constraint(key):
    return "_" in key


def key_of(sqlstate):
    """The row that a SQLSTATE belongs to."""
    return next((key for key in refusals() if not is_constraint(key) and sqlstate.startswith(key)), None)
