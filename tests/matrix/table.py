"""expected.def as rows: what each cell of the matrix has to answer."""
import os
import re

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected.def")
GROUPS = ("STRANGERS", "TOKENS", "PEOPLE", "FORGED")
CODES = {"u": (401, "unauthorized"), "f": (403, "forbidden"), "c": (403, "csrf_failed"), "p": (403, "confirmation_required"), "n": (404, "not_found"),
         "i": (401, "invalid_token"), "b": (400, "invalid_request")}


class Table:
    def __init__(self):
        with open(PATH) as f:
            text = f.read()
        # (group, letter, name of the credential, text) in the order of the cells
        self.columns = re.findall(r"^COLUMN\((\w+), +'(.)', (\w+), +\"(.*)\"\)", text, re.M)
        self.rows, self.becomes = {}, {}
        for name, status, *groups in re.findall(r'^CELLS\((\w+), *(\d+), "(.)", "(.*?)", "(.*?)", "(.*?)"\)', text, re.M):
            self.rows[name] = int(status), self.cells(*groups)
        for part, kind, *groups in re.findall(r'^ELSEWHERE\((\w+), *(\w+), *"(.*?)", "(.*?)", "(.*?)"\)', text, re.M):
            self.becomes[part, kind] = self.cells("-", *groups)

    def cells(self, strangers, *others):
        """{credential: cell}"""
        wide = [strangers * sum(group == "STRANGERS" for group, *_ in self.columns), *others]
        return {column[2]: cell for column, cell in zip(self.columns, "".join(wide), strict=True)}

    def at_branch(self, route, own):
        """{credential: cell} at a branch of the database: tokens for branches do there what one bound to the database does; one that is
        bound to a branch is, at another one, where it should not be. Row-level security is where `with_claims` asks otherwise."""
        cells = {name: cell for name, cell in self.rows[route.id][1].items() if name != "with_claims"}
        return {**cells, "for_branches": cells["bound"], "bound_branch": cells["bound" if own else "bound_other"]}

    def elsewhere(self, route, part):
        """{credential: cell} when the part of the path leads to what is not one's own."""
        cells = dict(self.rows[route.id][1])
        if part == "DB":
            cells["widened"] = cells["viewer"]  # the share is of the one database
        kind = "ANY" if part != "NS" else "EITHER" if route.bearer and route.session else "BEARER" if route.bearer else "COOKIE"
        for name, cell in cells.items():
            inside = part == "ITEM" and cell == "F" and "{ns}" not in route.template  # the thing itself says whose role counts
            if cell not in "uc" and (part == "NS" or cell == "." or inside or part == "DB" and cell.isupper()):
                cells[name] = self.becomes[part, kind][name] if not route.public else cell
        return cells
