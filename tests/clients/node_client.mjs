#!/usr/bin/env node
// A program as a user writes it, over a client in the manner of @persql/sdk: migrations, an ORM's statements, files, writes at once.
// Usage: node_client.mjs PATH-OF-HOLDFAST
import { PerSQL } from "./persql_client.mjs";
import { equal, withServer } from "./server.mjs";

async function rejects(what, promise, status, kind) {
  try { await promise; equal(what, "fulfilled", "rejected"); } catch (e) { equal(what, [e.status, e.detail?.kind], [status, kind]); }
}

async function migrations(db) {
  // Clients split scripts on ; and send each piece alone; a plan makes the run resumable.
  const steps = ["CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, active INTEGER DEFAULT 1)",
    "CREATE INDEX users_active ON users(active)", "CREATE TRIGGER lower AFTER INSERT ON users BEGIN UPDATE users SET email = lower(email) WHERE id = new.id; END"];
  for (const [i, sql] of steps.entries()) equal(`step ${i}`, (await db.query(sql, [], { planKey: "m1", planStep: `${i}` })).replayed, null);
  for (const [i, sql] of steps.entries()) equal(`step ${i} again`, (await db.query(sql, [], { planKey: "m1", planStep: `${i}` })).replayed, "true");
}

async function orm(db) {
  const made = await db.query("INSERT INTO users(email) VALUES(?) RETURNING id, email, active", ["Ada@Example.com"]);
  equal("insert returning", made.data.length, 1);
  equal("columns and rows stand beside the objects", [made.columns, made.rows[0][0]], [["id", "email", "active"], 1]);
  equal("the trigger ran", (await db.query("SELECT email FROM users WHERE id = ?", [1])).data, [{ email: "ada@example.com" }]);
  equal("booleans are integers", (await db.query("UPDATE users SET active = ? WHERE id = ?", [false, 1])).changes, 1);
  equal("deleteMany counts", (await db.query("DELETE FROM users WHERE active = 0")).changes, 1);
  const [a, b] = await db.transaction([{ sql: "INSERT INTO users(email) VALUES('x')" }, { sql: "SELECT count(*) AS n FROM users" }]);
  equal("a transaction", [a.changes, b.data], [1, [{ n: 1 }]]);
  await rejects("a transaction that fails", db.transaction([{ sql: "INSERT INTO users(email) VALUES('y')" }, { sql: "INSERT INTO users(email) VALUES('x')" }]), 400, "unique_violation");
  equal("leaves nothing", (await db.query("SELECT count(*) AS n FROM users")).data, [{ n: 1 }]);
  await rejects("NULL into NOT NULL", db.query("INSERT INTO users(email) VALUES(?)", [null]), 400, "not_null_violation");
}

async function files(client, db) {
  const form = new FormData();
  form.set("file", new Blob(["CREATE TABLE imported(a, b);\nINSERT INTO imported VALUES(1, 'x;y'), (2, X'00ff');\n"], { type: "application/sql" }), "dump.sql");
  await client.call("POST", `${db.path}/import`, form);
  equal("a form upload", (await db.query("SELECT * FROM imported ORDER BY a")).rows, [[1, "x;y"], [2, { $blob: "AP8=" }]]);
  const lines = new ReadableStream({
    start(out) {
      for (let n = 3; n < 1003; n++) out.enqueue(new TextEncoder().encode(`{"a": ${n}, "b": "${"x".repeat(500)}"}\n`));
      out.close();
    },
  });
  const sent = await fetch(`${client.baseURL}${db.path}/import?table=imported`, {
    method: "POST", duplex: "half", body: lines, headers: { Authorization: `Bearer ${client.token}`, "Content-Type": "application/x-ndjson" },
  });
  equal("a stream of unknown length", [sent.status, (await sent.json()).data.rows], [200, 1000]);
  const dump = await client.call("GET", `${db.path}/export?format=sql`);
  equal("an export", dump.data.includes("CREATE TABLE imported"), true);
}

async function parallel(db) {
  await db.query("CREATE TABLE hits(n)");
  await Promise.all(Array.from({ length: 200 }, (_, n) => db.query("INSERT INTO hits VALUES(?)", [n])));
  equal("200 writes at once", (await db.query("SELECT count(*) AS n, count(DISTINCT n) AS d FROM hits")).data, [{ n: 200, d: 200 }]);
}

async function program(base, token) {
  const client = new PerSQL({ token, baseURL: `${base}/` });
  equal("me", (await client.call("GET", "/v1/me")).data.namespaceSlug, "acme");
  await client.call("POST", "/v1/databases", { slug: "app", name: "App" });
  const db = client.database("acme", "app");
  await migrations(db);
  await orm(db);
  await files(client, db);
  await parallel(db);
  equal("tables", (await db.get("tables")).map((t) => t.name).sort(), ["hits", "imported", "users"]);
  await rejects("a bad token", new PerSQL({ token: "nonsense", baseURL: base }).call("GET", "/v1/me"), 401, undefined);
}

await withServer(program);
