// Peer: a workerd Durable Object with SQLite storage, the same two statements behind one route.
import { DurableObject } from 'cloudflare:workers';

export class Store extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    const sql = ctx.storage.sql;
    sql.exec('CREATE TABLE IF NOT EXISTS customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL)');
    sql.exec('CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, note TEXT)');
    if (sql.exec('SELECT count(*) AS n FROM customers').one().n === 0)
      for (let i = 1; i <= 10000; i++) sql.exec('INSERT INTO customers VALUES(?,?)', i, `user${i}@example.com`);
  }

  async fetch(request) {
    const { sql, params = [] } = await request.json();
    const cursor = this.ctx.storage.sql.exec(sql, ...params);
    const rows = [...cursor.raw()];
    return Response.json({ success: true, data: { columns: cursor.columnNames, rows, rowsRead: cursor.rowsRead, rowsWritten: cursor.rowsWritten } });
  }
}

export default {
  async fetch(request, env) {
    if (request.headers.get('authorization') !== 'Bearer bench-token') return new Response('no', { status: 401 });
    return env.STORE.get(env.STORE.idFromName('main')).fetch(request);
  },
};
