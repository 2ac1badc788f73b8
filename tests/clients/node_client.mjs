#!/usr/bin/env node
// A program as a user writes it: a small client in the manner of @persql/sdk (row objects beside columns and rows) over fetch, and
// what it is used for. Usage: node_client.mjs PATH-OF-HOLDFAST
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

const PASSWORD = "a password that only tests use";
let passed = 0, failed = 0;
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
function equal(what, seen, wanted) {
  if (same(seen, wanted)) passed++;
  else { failed++; console.log(`FAIL ${what}\n     seen   ${JSON.stringify(seen)}\n     wanted ${JSON.stringify(wanted)}`); }
}

class PerSQLError extends Error {
  constructor(status, body) { super(body?.error ?? `HTTP ${status}`); this.status = status; this.detail = body?.errorDetail; }
}

class PerSQL {
  constructor({ token, baseURL }) { this.token = token; this.baseURL = baseURL.replace(/\/$/, ""); }
  async call(method, path, body, headers = {}) {
    const init = { method, headers: { Authorization: `Bearer ${this.token}`, ...headers } };
    if (body !== undefined) {
      init.body = typeof body === "string" || body instanceof FormData ? body : JSON.stringify(body);
      if (!(body instanceof FormData)) init.headers["Content-Type"] ??= "application/json";
    }
    const res = await fetch(this.baseURL + path, init);
    const text = await res.text();
    const parsed = (res.headers.get("content-type") ?? "").startsWith("application/json") ? JSON.parse(text) : { success: res.ok, data: text };
    if (!res.ok || !parsed.success) throw new PerSQLError(res.status, parsed);
    return { ...parsed, headers: res.headers };
  }
  database(ns, db) { return new Database(this, `/v1/db/${ns}/${db}`); }
}

const withObjects = (r) => ({ ...r, data: r.rows.map((row) => Object.fromEntries(r.columns.map((c, i) => [c, row[i]]))) });

class Database {
  constructor(client, path) { this.client = client; this.path = path; }
  async query(sql, params = [], { idempotencyKey, planKey, planStep } = {}) {
    const headers = Object.fromEntries(Object.entries({ "Idempotency-Key": idempotencyKey, "Plan-Key": planKey, "Plan-Step": planStep }).filter(([, v]) => v));
    const { data, meta, headers: got } = await this.client.call("POST", `${this.path}/query`, { sql, params }, headers);
    return { ...withObjects(data), meta, replayed: got.get("idempotency-replayed") ?? got.get("plan-replayed") };
  }
  async batch(statements, { transaction = false } = {}) {
    return (await this.client.call("POST", `${this.path}/batch`, { statements, transaction })).data.map(withObjects);
  }
  transaction(statements) { return this.batch(statements, { transaction: true }); }
  async get(verb) { return (await this.client.call("GET", `${this.path}/${verb}`)).data; }
}

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

async function main(binary) {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-test-")), data = join(dir, "data"), log = join(dir, "log");
  const made = spawnSync(binary, ["init", "--data", data, "--email", "owner@example.com", "--namespace", "acme", "--json"], { input: `${PASSWORD}\n`, encoding: "utf8" });
  const { token } = JSON.parse(made.stdout);
  const server = spawn(binary, ["serve", "--data", data, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", openSync(log, "w")] });
  const ended = new Promise((resolve) => server.on("exit", resolve));
  try {
    for await (const line of createInterface({ input: server.stdout })) {
      if (!line.startsWith("listening on ")) continue;
      await program(line.slice("listening on ".length).trim(), token);
      break;
    }
  } finally {
    server.kill("SIGTERM");
    equal("the server ends well", await ended, 0);
    const shared = process.env.HOLDFAST_TEST_DIR;
    if (shared) {
      copyFileSync(log, join(shared, `${basename(dir)}.log`));
      writeFileSync(join(shared, `${basename(dir)}.secrets`), [PASSWORD, token].join("\n"));
    }
    rmSync(dir, { recursive: true, force: true });
  }
}

main(process.argv[2])
  .catch((e) => { failed++; console.log(`FAIL ${e.stack}`); })
  .finally(() => { console.log(`${passed} passed, ${failed} failed`); process.exit(failed ? 1 : 0); });
