# SPDX-License-Identifier: Apache-2.0
"""Reads a report as a browser and a reader would, with nothing but Python's standard library.

Usage: check_report.py DIR. Fails unless report.html is well-formed, loads nothing, has a name for every figure, and all
numbers of its tables are those of results.csv, or follow from them.
"""

import csv
import html.parser
import math
import pathlib
import re
import statistics
import sys
import xml.etree.ElementTree

VOID = {"meta", "input", "br", "link", "img", "hr"}
folder = pathlib.Path(sys.argv[1])
page = (folder / "report.html").read_text(encoding="utf-8")


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.tables, self.text = [], set(), [], {}, []
        self.table = self.row = self.cell = None

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"attribute twice in {tag}"
        values = dict(attributes)
        for name, value in attributes:
            assert name not in ("src", "srcset", "data", "poster", "action", "style") or tag == "rect", (tag, name)
            assert not name.startswith("on"), f"{tag} {name}"
            if name == "href":
                self.links.append(value)
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form", "video", "audio"), tag
        if "id" in values:
            assert values["id"] not in self.ids, f"id {values['id']} twice"
            self.ids.add(values["id"])
        if tag == "svg":
            assert values.get("role") == "img" and values.get("aria-label"), "a figure without a name"
        if tag == "th" and self.open[-3:-1] == ["table", "thead"]:
            assert values.get("scope") == "col"
        if tag == "table":
            self.table = self.tables.setdefault(values["id"], [])
        if tag == "tr":
            self.row = []
        if tag in ("td", "th"):
            self.cell = [values.get("data-v"), ""]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]} at {self.getpos()}"
        self.open.pop()
        if tag in ("td", "th"):
            self.row.append(tuple(self.cell))
            self.cell = None
        if tag == "tr":
            self.table.append(self.row)

    def handle_data(self, data):
        if self.cell is not None:
            self.cell[1] += data
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


reader = Reader()
reader.feed(page)
reader.close()
assert not reader.open, f"never closed: {reader.open}"
assert page.startswith("<!DOCTYPE html>") and '<html lang="en">' in page and 'name="viewport"' in page
assert page.count("<h1>") == 1
for link in reader.links:
    assert link.startswith("#") and link[1:] in reader.ids, f"leads nowhere: {link}"
assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest|import\(", page), "loads something"
assert "nan" not in " ".join(reader.text).lower().split(), "a number that is none"

with open(folder / "results.csv", encoding="utf-8", newline="") as file:
    results = list(csv.DictReader(file))


def same(text, exact):
    """`text` as shown for a number with that exact text."""
    if exact == "":
        return text == ""
    decimals = len(text.split(".")[1]) if "." in text else 0
    return abs(float(text) - float(exact)) <= 0.5 * 10.0**-decimals + 1e-12


COLUMNS = {"Run": "run", "AUROC": "auroc", "Degree-only AUROC": "degree_auroc", "AP": "average_precision",
           "Degree-only AP": "degree_average_precision", "Random AP": "random_auprc", "AUROC within TFs": "within_tf_auroc",
           "AUROC within genes": "within_gene_auroc", "Positives": "n_positive", "Negatives": "n_negative",
           "Setting": "setting", "Method": "method", "Strategy": "strategy", "Omics": "omics"}
head, *rows = reader.tables["table-runs"]
assert [name for _, name in head] and all(name in COLUMNS for _, name in head), head
by_run = {(r["setting"], r["method"], r["strategy"], r["omics"], r["run"]): r for r in results}
assert len(rows) == len(results) == len(by_run)
for row in rows:
    cells = {name: cell for (_, name), cell in zip(head, row)}
    result = by_run[tuple(cells[name][1] for name in ("Setting", "Method", "Strategy", "Omics", "Run"))]
    for name, (exact, text) in cells.items():
        if exact is not None:
            assert exact == result[COLUMNS[name]] or float(exact) == float(result[COLUMNS[name]]), (name, exact)
            assert same(text, result[COLUMNS[name]]), (name, text, result[COLUMNS[name]])

head, *rows = reader.tables["table-summary"]
names = [name for _, name in head]
groups = {}
for result in results:
    groups.setdefault(tuple(result[key] for key in ("setting", "method", "strategy", "omics")), []).append(result)
assert len(rows) == len(groups)
for row in rows:
    cells = dict(zip(names, row))
    group = groups[tuple(cells[name][1] for name in ("Setting", "Method", "Strategy", "Omics"))]
    assert cells["Runs"][1] == str(len(group))
    for name, key in (("AUROC", "auroc"), ("AP", "average_precision"), ("Within TFs", "within_tf_auroc"),
                      ("Degree-only", "degree_auroc"), ("Random AP", "random_auprc")):
        values = [float(r[key]) for r in group if r[key] != ""]
        exact, text = cells[name]
        if not values:
            assert (exact, text) == ("", ""), (name, exact, text)
            continue
        assert math.isclose(float(exact), statistics.fmean(values), rel_tol=1e-12), (name, exact)
        shown = text.split(" ± ")
        assert same(shown[0], repr(statistics.fmean(values))), (name, text)
        if len(shown) == 2:
            assert same(shown[1], repr(statistics.stdev(values))), (name, text)
        elif name in ("AUROC", "AP", "Within TFs"):
            assert len(values) == 1, (name, text)

figures = sorted((folder / "figures").glob("*.svg"))
for figure in figures:
    root = xml.etree.ElementTree.parse(figure).getroot()
    assert root.get("role") == "img" and root.get("aria-label"), figure
    assert 'id="' + figure.stem + '"' in page, f"{figure.stem} is not in the page"
    width, height = float(root.get("width")), float(root.get("height"))
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        if text.get("x") is not None:
            assert -1 <= float(text.get("x")) <= 361 and 0 <= float(text.get("y")) <= height, (figure, text.text)
    assert "nan" not in figure.read_text(encoding="utf-8") and "inf" not in re.sub(
        r"<title>.*?</title>|aria-label=\"[^\"]*\"|<text[^>]*>[^<]*", "", figure.read_text(encoding="utf-8")), figure
print(len(rows), len(figures))
