"""What row-level security costs: the same point read by a bearer without claims, of a table without policies, and under a policy of
another table of the same rows."""
from load import load
from servers import CUSTOMERS, Holdfast
from table import ratio, row, rounds


def prepare(hf):
    """`guarded` holds what `customers` holds, and each row's tenant; the one who reads owns every row, so both find one."""
    hf.post(hf.path("main", "batch"), {"transaction": True, "statements": [
        {"sql": "CREATE TABLE guarded(id INTEGER PRIMARY KEY, email TEXT NOT NULL, tenant TEXT NOT NULL)"},
        {"sql": "INSERT INTO guarded SELECT id, email, 'a' FROM customers"}]})
    hf.post(f"/api/namespaces/{hf.namespace}/databases/main/policies",
            {"name": "own", "tableName": "guarded", "expression": "tenant = :auth_tenant", "enabled": True})
    made = hf.post(f"/api/namespaces/{hf.namespace}/tokens", {"name": "a", "role": "readonly", "claims": {"tenant": "a"}})
    return made["data"]["token"]


def measure(build):
    hf = Holdfast(build).start()
    admin = hf.token
    try:
        claimed = prepare(hf)

        def reads(token, table):
            hf.token = token
            result = load(hf, "read", table=table)
            hf.token = admin
            return result

        seen = rounds({"plain": lambda: reads(admin, "customers"), "policy": lambda: reads(claimed, "guarded")}, 5)
        row("point read under a policy", "the same without", ratio(seen["policy"], seen["plain"]), (">=", 0.8),
            f"p99 {ratio(seen['policy'], seen['plain'], lambda r: r[2]):.2f}")
    finally:
        hf.stop()
