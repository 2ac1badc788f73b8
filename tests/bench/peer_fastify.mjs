// Peer: fastify + better-sqlite3, WAL, synchronous=FULL, prepared statements, bearer check. Usage: node peer_fastify.mjs FILE
import Fastify from 'fastify';
import Database from 'better-sqlite3';

const db = new Database(process.argv[2]);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`CREATE TABLE IF NOT EXISTS customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, note TEXT);`);
const fill = db.prepare('INSERT OR IGNORE INTO customers VALUES(?,?)');
db.transaction(() => { for (let i = 1; i <= 10000; i++) fill.run(i, `user${i}@example.com`); })();

const cache = new Map();
const prepared = (sql) => {
  let s = cache.get(sql);
  if (!s) cache.set(sql, (s = db.prepare(sql)));
  return s;
};

const app = Fastify({ logger: false });
app.post('/query', (req, reply) => {
  if (req.headers.authorization !== 'Bearer bench-token') return reply.code(401).send({ success: false, error: 'no' });
  const { sql, params = [] } = req.body;
  const s = prepared(sql);
  if (s.reader) {
    const rows = s.raw(true).all(...params);
    return { success: true, data: { columns: s.columns().map((c) => c.name), rows, rowsRead: rows.length, rowsWritten: 0 } };
  }
  const r = s.run(...params);
  return { success: true, data: { columns: [], rows: [], changes: r.changes, lastInsertRowid: r.lastInsertRowid } };
});
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(app.server.address().port);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
