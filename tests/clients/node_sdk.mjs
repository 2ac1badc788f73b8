#!/usr/bin/env node
// The table of calls of @persql/sdk, row by row: what each sends, what its caller reads of the answer, what it throws.
// Usage: node_sdk.mjs PATH-OF-HOLDFAST
import { ApprovalRequiredError, PerSQL, PerSQLError, RateLimitError } from "./persql_client.mjs";
import { EMAIL, PASSWORD, equal, part, secrets, withServer } from "./server.mjs";

const keys = (o, wanted) => Object.fromEntries(wanted.map((k) => [k, o?.[k]]));

async function throws(what, promise, kind, status, text = "") {
  const e = await promise.then(() => null, (error) => error);
  equal(what, [e?.constructor.name, e?.status, e?.message.includes(text)], [kind.name, status, true]);
  return e;
}

async function reading(client) {
  const db = client.database("acme/main");
  await db.transaction([{ sql: "CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE)" },
    { sql: "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), status TEXT DEFAULT 'open', total REAL)" },
    { sql: "INSERT INTO customers(email) VALUES(?), (?)", params: ["ada@example.com", "lin@example.com"] },
    { sql: "INSERT INTO orders(customer_id, total) VALUES(1, 9.5), (1, 20), (2, 3)" }]);
  const result = await db.query("SELECT id, email FROM customers WHERE id = ?", [1]);
  equal("query", keys(result, ["data", "columns", "rows", "rowsRead", "rowsWritten"]),
    { data: [{ id: 1, email: "ada@example.com" }], columns: ["id", "email"], rows: [[1, "ada@example.com"]], rowsRead: 1, rowsWritten: 0 });
  equal("its meta", ["rowsRead", "rowsWritten", "durationMs", "statementCount", "costUsd", "queryLogId"].filter((k) => !(k in result.meta)), []);
  const written = await db.query("INSERT INTO customers(email) VALUES('x@example.com')");
  equal("a write tells what it did", keys(written, ["changes", "lastInsertRowid", "rowsWritten", "columns"]), { changes: 1, lastInsertRowid: 3, rowsWritten: 1, columns: [] });
  equal("batch", (await db.batch([{ sql: "DELETE FROM customers WHERE id = 3" }, { sql: "SELECT count(*) AS n FROM customers" }])).map((r) => [r.rowsWritten, r.data]), [[1, []], [0, [{ n: 2 }]]]);
  equal("tables", await db.tables(), [{ name: "customers", rowCount: 2 }, { name: "orders", rowCount: 3 }]);
  equal("schema", (await db.schema()).tables.map((t) => t.name), ["customers", "orders"]);
  equal("explain", JSON.stringify(await db.explain("SELECT * FROM orders WHERE total > ?", [5])).includes("SCAN"), true);
  const bad = await db.validate("SELECT id FROM ordres");
  equal("validate", [(await db.validate("SELECT id FROM orders")).ok, bad.ok, bad.error, bad.errorDetail.kind], [true, false, "no such table: ordres", "unknown_table"]);
  await db.setDescription({ table: "orders", description: "One row per checkout" });
  const orders = (await db.describe()).tables.find((t) => t.table === "orders");
  equal("describe", [orders.description, orders.foreignKeys[0].refTable, orders.columns.map((c) => c.name)], ["One row per checkout", "customers", ["id", "customer_id", "status", "total"]]);
  equal("describeCompact", (await db.describeCompact()).includes("orders"), true);
  equal("search", (await db.search("checkout", { limit: 1 })).hits[0].table, "orders");
  equal("doctor", JSON.stringify((await db.doctor()).findings).includes("customer_id"), true);
  equal("queryLog", JSON.stringify(await db.queryLog()).includes("SELECT id, email"), true);
  const drive = db.driver();
  equal("driver", [(await drive("SELECT id FROM orders ORDER BY id", [], "all")).rows, (await drive("SELECT total FROM orders WHERE id = ?", [2], "get")).rows], [[[1], [2], [3]], [20]]);
}

async function errors(client) {
  const db = client.database("acme", "main");
  const e = await throws("SQL", db.query("INSERT INTO customers(email) VALUES('ada@example.com')"), PerSQLError, 400, "UNIQUE");
  equal("its detail", keys(e.detail, ["kind", "message", "table", "column"]), { kind: "unique_violation", message: e.message, table: "customers", column: "email" });
  await throws("another namespace", client.database("home/main").tables(), PerSQLError, 403, "Token namespace mismatch");
  await throws("no database", client.database("acme/none").tables(), PerSQLError, 404);
  await throws("no token", new PerSQL({ token: "a.b.c", baseURL: client.baseURL }).database("acme/main").tables(), PerSQLError, 401, "Invalid token format");
}

// The network between: the next requests fare as `plan` says, a status with its Retry-After or "lost" for an answer on its way.
function unreliable(plan, sent) {
  return async (url, init) => {
    sent.push(init.headers["Idempotency-Key"] ?? null);
    const fate = plan.shift();
    if (typeof fate === "number") return new Response(JSON.stringify({ success: false, error: "later" }), { status: fate, headers: { "Retry-After": "3", "Content-Type": "application/json" } });
    const res = await fetch(url, init);
    if (fate !== "lost") return res;
    await res.text();
    throw new TypeError("fetch failed");
  };
}

async function retries(client) {
  const plan = [], sent = [], slept = [];
  const patient = new PerSQL({ token: client.token, baseURL: client.baseURL, retries: 3, fetch: unreliable(plan, sent), sleep: async (ms) => slept.push(ms) });
  const db = patient.database("acme/main");
  plan.push(503, 429);
  equal("after two refusals it runs once", [(await db.query("INSERT INTO orders(total) VALUES(100)")).rowsWritten, slept], [1, [3000, 3000]]);
  plan.push("lost", "lost");
  sent.length = 0;
  const again = await db.query("INSERT INTO orders(total) VALUES(200) RETURNING total", [], { idempotencyKey: "order-200" });
  equal("an answer that was lost comes again", [again.data, again.replayed, sent], [[{ total: 200 }], "true", Array(3).fill("order-200")]);
  plan.push("lost");
  equal("without a key nothing is sent twice", (await db.query("INSERT INTO orders(total) VALUES(300)").catch((e) => e)).message, "fetch failed");
  equal("each order once", (await db.query("SELECT count(*) AS n, sum(total) AS t FROM orders WHERE total >= 100")).data, [{ n: 3, t: 600 }]);
  const proposal = await db.proposals.propose("DELETE FROM orders WHERE total >= ?", { params: [100] });
  plan.push("lost", 429);
  const applied = await db.proposals.apply(proposal.executionToken, { idempotencyKey: "apply-1" });
  equal("an apply whose answer was lost", [applied.rowsWritten, applied.replayed], [3, "true"]);
  plan.push(...Array(4).fill(429));
  equal("too often", (await throws("too often", db.query("SELECT 1"), RateLimitError, 429, "later")).retryAfterSeconds, 3);
  const step = { planKey: "raise", planStep: "1" }, raise = "UPDATE orders SET total = total + 1 WHERE id = 1";
  equal("a step of a plan runs once", [(await db.query(raise, [], step)).replayed, (await db.query(raise, [], step)).replayed], [null, "true"]);
  equal("as its row shows", (await db.query("SELECT total FROM orders WHERE id = 1")).rows, [[10.5]]);
}

async function proposals(client) {
  const db = client.database("acme/main");
  const made = await db.proposals.propose("UPDATE orders SET status = ? WHERE customer_id = ?", { params: ["shipped", 1] });
  secrets.push(made.executionToken);
  equal("propose", [made.estimatedAffectedRows, made.action, made.executionToken.slice(0, 5), made.sql.startsWith("UPDATE"), Array.isArray(made.plan)], [2, "write", "pmut_", true, true]);
  equal("nothing is done yet", (await db.query("SELECT count(*) AS n FROM orders WHERE status = 'shipped'")).data, [{ n: 0 }]);
  equal("apply", (await db.proposals.apply(made.executionToken)).rowsWritten, 2);
  await throws("a second time", db.proposals.apply(made.executionToken), PerSQLError, 404);
  const drifting = await db.proposals.propose("DELETE FROM orders WHERE id = 3", { ttlSec: 60 });
  await db.query("UPDATE orders SET total = 4 WHERE id = 3");
  equal("drift has a code", (await throws("drift", db.proposals.apply(drifting.executionToken), PerSQLError, 409)).body.code, "drift");
}

async function branches(client) {
  const db = client.database("acme/main"), expiresAt = new Date(Date.now() + 3600e3);
  const made = await db.branches.upsert("feature/x", { expiresAt });
  equal("upsert", [made.branchRef, made.outcome, made.forkedFrom.slug, made.expiresAt], ["feature/x", "created", "main", expiresAt.toISOString()]);
  const lease = await db.branches.claim({ ref: "feature/x", role: "admin", ttlSec: 600, purpose: "test" });
  secrets.push(lease.token);
  equal("claim", [lease.outcome, lease.namespaceSlug, lease.branchRef, lease.databaseSlug], ["reset", "acme", "feature/x", made.slug]);
  const ci = new PerSQL({ token: lease.token, baseURL: client.baseURL }), branch = ci.database(lease.namespaceSlug, lease.databaseSlug);
  await branch.batch([{ sql: "CREATE TABLE coupons(code TEXT PRIMARY KEY)" }, { sql: "ALTER TABLE orders ADD COLUMN coupon TEXT" }]);
  equal("no rows come along", (await branch.query("SELECT count(*) AS n FROM orders")).data, [{ n: 0 }]);
  await throws("the lease elsewhere", ci.database("acme/main").tables(), PerSQLError, 403);
  const { plan } = await db.branches.preview("feature/x");
  equal("preview", [plan.added.map((o) => o.name), plan.changed.map((o) => o.name), plan.removed], [["coupons"], ["orders"], []]);
  const { token } = await db.branches.pin("feature/x", { role: "write", ttlSec: 900 });
  secrets.push(token);
  const agent = await PerSQL.fromHandoff(token, { baseURL: client.baseURL });
  equal("fromHandoff", keys(agent.handedOff, ["namespaceSlug", "databaseSlug"]), { namespaceSlug: "acme", databaseSlug: made.slug });
  const theirs = agent.database(agent.handedOff.namespaceSlug, agent.handedOff.databaseSlug);
  equal("it writes", (await theirs.query("INSERT INTO coupons VALUES('TEN')")).changes, 1);
  await throws("but changes no schema", theirs.query("DROP TABLE coupons"), PerSQLError, 403);
  await throws("a handoff taken again", PerSQL.fromHandoff(token, { baseURL: client.baseURL }), PerSQLError, 404);
  equal("merge", (await db.branches.merge("feature/x", { mode: "schema" })).mode, "schema");
  equal("the parent has both, and its rows", (await db.query("SELECT count(*) AS n, count(coupon) AS c, (SELECT count(*) FROM coupons) AS k FROM orders")).data, [{ n: 3, c: 0, k: 0 }]);
  equal("list", (await db.branches.list()).map((b) => b.branchRef), ["feature/x"]);
  await db.branches.delete("feature/x");
  equal("delete", await db.branches.list(), []);
}

async function rules(client) {
  const db = client.database("acme/main");
  const made = await db.approvalRules.create({ tableGlob: "CUST*", action: "deny", note: "Ask Lin first" });
  equal("a rule", [made.tableGlob, made.action, made.note, typeof made.id, made.createdAt.endsWith("Z")], ["CUST*", "deny", "Ask Lin first", "string", true]);
  equal("list", (await db.approvalRules.list()).map((r) => r.id), [made.id]);
  const e = await throws("a write that a rule denies", db.query("UPDATE customers SET email = 'x' WHERE id = 2"), PerSQLError, 403, "Ask Lin first");
  equal("is no request for approval", "approvalToken" in e.body, false);
  await throws("nor in a transaction", db.transaction([{ sql: "UPDATE customers SET email = 'x' WHERE id = 2" }]), PerSQLError, 403);
  await db.approvalRules.delete(made.id);
  equal("delete", [await db.approvalRules.list(), (await db.query("UPDATE customers SET email = email WHERE id = 2")).changes], [[], 1]);
}

// A person with a browser, who decides.
async function person(baseURL) {
  const headers = { Origin: baseURL, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json" };
  const signed = await fetch(`${baseURL}/api/auth/sign-in/email`, { method: "POST", headers, body: JSON.stringify({ email: EMAIL, password: PASSWORD }) });
  headers.Cookie = signed.headers.get("set-cookie").split(";")[0];
  secrets.push(headers.Cookie.split("=")[1]);
  headers["X-CSRF-Token"] = (await (await fetch(`${baseURL}/api/auth/get-session`, { headers })).json()).csrfToken;
  return async (token, decision) => {
    const res = await fetch(`${baseURL}/api/approvals/${token}/decision`, { method: "POST", headers, body: JSON.stringify({ decision }) });
    equal(`a person says ${decision}`, res.status, 200);
  };
}

async function approvals(client) {
  const db = client.database("acme/main"), decide = await person(client.baseURL), slept = [];
  const rule = await db.approvalRules.create({ tableGlob: "orders", action: "require_approval" });
  const { token } = await db.branches.claim({ ref: "held", role: "write" }); // another bearer, to whom the approval is nothing
  secrets.push(token);
  const held = await throws("a held write", db.query("UPDATE orders SET status = 'paid' WHERE id = ?", [1]), ApprovalRequiredError, 403, "requires human approval");
  equal("token, address, hits", [held.approvalToken.slice(0, 5), held.approvalUrl.endsWith(`/approve/${held.approvalToken}`), held.hits.map((h) => [h.tableGlob, h.action, h.matchedTable])],
    ["appr_", true, [["orders", "require_approval", "orders"]]]);
  equal("get", (await db.approvals.get(held.approvalToken)).status, "pending");
  equal("poll gives up", (await db.approvals.poll(held.approvalToken, { timeoutMs: 0 })).status, "pending");
  client.sleep = async (ms) => { slept.push(ms); await decide(held.approvalToken, "approve"); };
  equal("poll", [(await db.approvals.poll(held.approvalToken)).status, slept], ["approved", [2000]]);
  const other = new PerSQL({ token, baseURL: client.baseURL }).database("acme", "main-held");
  await throws("redeem elsewhere", other.approvals.redeem(held.approvalToken), PerSQLError, 404);
  equal("redeem", (await db.approvals.redeem(held.approvalToken)).changes, 1);
  equal("it is done", (await db.query("SELECT status FROM orders WHERE id = 1")).rows, [["paid"]]);
  await throws("a second time", db.approvals.redeem(held.approvalToken), PerSQLError, 404);
  const denied = await throws("one more", db.query("DELETE FROM orders"), ApprovalRequiredError, 403);
  await decide(denied.approvalToken, "deny");
  equal("denied", (await db.approvals.poll(denied.approvalToken)).status, "denied");
  await db.branches.delete("held");
  await db.approvalRules.delete(rule.id);
}

async function snapshots(client) {
  const db = client.database("acme/main"), kept = await db.snapshots.create("before-cleanup");
  await db.query("DELETE FROM orders WHERE id < 3");
  equal("list", (await db.snapshots.list()).some((s) => s.id === kept.id && s.label === "before-cleanup"), true);
  await db.snapshots.restore(kept.id);
  equal("restore", (await db.query("SELECT count(*) AS n FROM orders")).data, [{ n: 3 }]);
  await db.snapshots.delete(kept.id);
  equal("delete", (await db.snapshots.list()).some((s) => s.id === kept.id), false);
}

async function people(client) {
  const made = await client.databases.create({ slug: "app", name: "App" });
  equal("databases.create", keys(made, ["slug", "name", "status"]), { slug: "app", name: "App", status: "healthy" });
  const theirs = await client.users.provision("user_42", { template: "main" });
  secrets.push(theirs.token);
  const own = new PerSQL({ token: theirs.token, baseURL: client.baseURL }).database("acme", theirs.database.slug);
  equal("users.provision", (await own.tables()).map((t) => [t.name, t.rowCount]).sort(), [["coupons", 0], ["customers", 0], ["orders", 0]]);
  const session = await client.database("acme/main").createSession({ userId: "user_42", email: "ada@example.com", expiresIn: 3600 });
  secrets.push(session.token);
  equal("createSession", [session.token.split(".").length, session.expiresIn, typeof session.expiresAt], [3, 3600, "string"]);
}

await withServer(async (baseURL, token) => {
  const client = new PerSQL({ token, baseURL: `${baseURL}/` });
  for (const run of [reading, errors, retries, proposals, branches, rules, approvals, snapshots, people]) await part(run.name, () => run(client));
});
