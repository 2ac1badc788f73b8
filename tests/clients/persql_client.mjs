// A client in the manner of @persql/sdk over fetch: its calls, row objects beside columns and rows, its errors. The package itself
// cannot be had from the registry; what is written here is what its documentation says, and for paths that it does not show what the
// server's own /openapi.json says.

export class PerSQLError extends Error {
  constructor(status, body) {
    super(body?.error ?? `HTTP ${status}`);
    Object.assign(this, { status, body, detail: body?.errorDetail });
  }
}
// The presence of an approval's keys in a 403 makes it one.
export class ApprovalRequiredError extends PerSQLError {
  constructor(status, body) {
    super(status, body);
    Object.assign(this, { approvalToken: body.approvalToken, approvalUrl: body.approvalUrl, hits: body.hits, expiresAt: body.expiresAt });
  }
}
export class RateLimitError extends PerSQLError {
  constructor(status, body, retryAfter) {
    super(status, body);
    this.retryAfterSeconds = Number(retryAfter);
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const given = (headers) => Object.fromEntries(Object.entries(headers).filter(([, v]) => v));
const withObjects = (r) => ({ ...r, data: r.rows.map((row) => Object.fromEntries(r.columns.map((c, i) => [c, row[i]]))) });

function errorOf(res, body) {
  if (res.status === 429) return new RateLimitError(429, body, res.headers.get("retry-after"));
  return new (res.status === 403 && body?.approvalToken ? ApprovalRequiredError : PerSQLError)(res.status, body);
}

export class PerSQL {
  constructor({ token, baseURL, fetch: send = fetch, retries = 0, sleep = pause }) {
    Object.assign(this, { token, baseURL: baseURL.replace(/\/$/, ""), fetch: send, retries, sleep });
    this.databases = { create: (body) => this.data("POST", "/v1/databases", body) };
    this.users = { provision: (subject, { template } = {}) => this.data("POST", "/v1/users", { subject, template }) };
  }
  static async fromHandoff(handoff, options) {
    const { token, ...handedOff } = await new PerSQL(options).data("POST", "/v1/handoff/redeem", { token: handoff });
    return Object.assign(new PerSQL({ ...options, token }), { handedOff });
  }
  // What was refused for now (429, 503) is sent again after the seconds of Retry-After; a lost connection only where that is harmless.
  async send(path, init) {
    const harmless = ["GET", "PUT", "DELETE"].includes(init.method) || init.headers["Idempotency-Key"];
    for (let left = this.retries; ; left--) {
      try {
        const res = await this.fetch(this.baseURL + path, init);
        if (![429, 503].includes(res.status) || left <= 0) return res;
        await this.sleep(1000 * Number(res.headers.get("retry-after") ?? 1));
      } catch (e) {
        if (left <= 0 || !harmless) throw e;
      }
    }
  }
  async call(method, path, body, headers = {}) {
    const init = { method, headers: { ...(this.token && { Authorization: `Bearer ${this.token}` }), ...headers } };
    if (body !== undefined) {
      init.body = typeof body === "string" || body instanceof FormData ? body : JSON.stringify(body);
      if (!(body instanceof FormData)) init.headers["Content-Type"] ??= "application/json";
    }
    const res = await this.send(path, init);
    const text = await res.text();
    const parsed = (res.headers.get("content-type") ?? "").startsWith("application/json") ? JSON.parse(text) : { success: res.ok, data: text };
    if (!res.ok || !parsed.success) throw errorOf(res, parsed);
    return { ...parsed, headers: res.headers };
  }
  async data(...request) { return (await this.call(...request)).data; }
  database(ns, db) { return new Database(this, ...(db ? [ns, db] : ns.split("/"))); }
  close() {}
}

class Database {
  constructor(client, ns, db) {
    Object.assign(this, { client, ns, db, path: `/v1/db/${ns}/${db}` });
    const data = (method, tail, body) => client.data(method, `${this.path}/${tail}`, body);
    const branch = (ref, tail = "") => `branches/${encodeURIComponent(ref)}${tail}`;
    this.branches = {
      list: () => data("GET", "branches"),
      upsert: (ref, { expiresAt, ttlDays, data: copy } = {}) => data("PUT", branch(ref), { expiresAt, ttlDays, data: copy }),
      claim: ({ ref, purpose, ttlSec, role } = {}) => data("POST", "claim_branch", { ref, purpose, ttlSec, role }),
      pin: (ref, { role, ttlSec } = {}) => data("POST", branch(ref, "/pin"), { role, ttlSec }),
      preview: (ref) => data("GET", branch(ref, "/preview")),
      merge: (ref, { mode }) => data("POST", branch(ref, "/merge"), { mode }),
      delete: (ref) => data("DELETE", branch(ref)),
    };
    this.proposals = {
      propose: (sql, { params = [], ttlSec } = {}) => data("POST", "propose", { sql, params, ttlSec }),
      apply: (executionToken, options) => this.result("apply", { executionToken }, options),
    };
    this.snapshots = {
      list: () => data("GET", "snapshots"),
      create: (label) => data("POST", "snapshots", { label }),
      restore: (snapshotId) => data("POST", "restore", { snapshotId }),
      delete: (id) => data("DELETE", `snapshots/${id}`),
    };
    this.approvalRules = {
      create: ({ tableGlob, action, note }) => data("POST", "approval-rules", { tableGlob, action, note }),
      list: () => data("GET", "approval-rules"),
      delete: (id) => data("DELETE", `approval-rules/${id}`),
    };
    this.approvals = {
      get: (token) => data("GET", `approvals/${token}`),
      poll: (token, options) => this.pollApproval(token, options),
      redeem: (approvalToken) => this.result("redeem_approval", { approvalToken }),
    };
  }
  async result(tail, body, { idempotencyKey, planKey, planStep } = {}) {
    const headers = given({ "Idempotency-Key": idempotencyKey, "Plan-Key": planKey, "Plan-Step": planStep });
    const { data, meta, headers: got } = await this.client.call("POST", `${this.path}/${tail}`, body, headers);
    return { ...withObjects(data), meta, replayed: got.get("idempotency-replayed") ?? got.get("plan-replayed") };
  }
  // Until it is no longer pending; the last that was seen when the time is over.
  async pollApproval(token, { intervalMs = 2000, timeoutMs = 600000 } = {}) {
    for (const ends = Date.now() + timeoutMs; ;) {
      const seen = await this.approvals.get(token);
      if (seen.status !== "pending" || Date.now() >= ends) return seen;
      await this.client.sleep(intervalMs);
    }
  }
  query(sql, params = [], options = {}) { return this.result("query", { sql, params }, options); }
  async batch(statements, { transaction = false } = {}) {
    return (await this.client.data("POST", `${this.path}/batch`, { statements, transaction })).map(withObjects);
  }
  transaction(statements) { return this.batch(statements, { transaction: true }); }
  get(verb) { return this.client.data("GET", `${this.path}/${verb}`); }
  tables() { return this.get("tables"); }
  schema() { return this.get("schema"); }
  describe() { return this.get("describe"); }
  describeCompact() { return this.get("describe?format=compact"); }
  setDescription(body) { return this.client.data("PUT", `${this.path}/describe`, body); }
  search(q, { limit } = {}) { return this.get(`search?${new URLSearchParams(given({ q, limit }))}`); }
  doctor() { return this.get("doctor"); }
  queryLog() { return this.get("query-log"); }
  explain(sql, params = []) { return this.client.data("POST", `${this.path}/explain`, { sql, params }); }
  validate(sql, params = []) { return this.client.data("POST", `${this.path}/validate`, { sql, params }); }
  createSession(body) { return this.client.data("POST", "/v1/sessions", { namespaceSlug: this.ns, databaseSlug: this.db, ...body }); }
  // What an ORM's proxy asks for: rows as arrays.
  driver() {
    const rows = async (sql, params) => (await this.query(sql, params)).rows;
    return async (sql, params, method) => ({ rows: method === "get" ? (await rows(sql, params))[0] : await rows(sql, params) });
  }
}
