// What the suites for Node share: a server of its own on port 0, and counted checks.
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

export const PASSWORD = "a password that only tests use", EMAIL = "owner@example.com";
export const secrets = [PASSWORD];
let passed = 0, failed = 0;

export function equal(what, seen, wanted) {
  if (JSON.stringify(seen) === JSON.stringify(wanted)) passed++;
  else { failed++; console.log(`FAIL ${what}\n     seen   ${JSON.stringify(seen)}\n     wanted ${JSON.stringify(wanted)}`); }
}

// What a part did not expect is a failure, and the next part runs all the same.
export async function part(name, run) {
  try { await run(); } catch (e) { failed++; console.log(`FAIL ${name}: ${e.stack} ${JSON.stringify(e.cause ?? null)}`); }
}

// Runs `program(address, token)` beside a server that holds nothing yet, and ends the process.
export async function withServer(program, binary = process.argv[2]) {
  const dir = mkdtempSync(join(tmpdir(), "holdfast-test-")), data = join(dir, "data"), log = join(dir, "log");
  const made = spawnSync(binary, ["init", "--data", data, "--email", EMAIL, "--namespace", "acme", "--json"], { input: `${PASSWORD}\n`, encoding: "utf8" });
  const { token } = JSON.parse(made.stdout);
  secrets.push(token);
  const server = spawn(binary, ["serve", "--data", data, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", openSync(log, "w")] });
  const ended = new Promise((resolve) => server.on("exit", resolve));
  const base = await Promise.race([ended.then(() => null),
    new Promise((found) => createInterface(server.stdout).on("line", (l) => l.startsWith("listening on ") && found(l.slice(13).trim())))]);
  await part("the program", () => program(base, token));
  server.kill("SIGTERM");
  equal("the server ends well", await ended, 0);
  if (process.env.HOLDFAST_TEST_DIR) {
    copyFileSync(log, join(process.env.HOLDFAST_TEST_DIR, `${basename(dir)}.log`));
    writeFileSync(join(process.env.HOLDFAST_TEST_DIR, `${basename(dir)}.secrets`), secrets.join("\n"));
  }
  rmSync(dir, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
