#!/usr/bin/env node
// Client libraries as their authors publish them, oauth4webapi and openid-client, sign a person in and out against the real server.
// A few lines of fetch play the browser. Usage: oauth_clients.mjs PATH-OF-HOLDFAST
import { webcrypto } from "node:crypto";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { EMAIL, PASSWORD, equal, part, secrets, withServer } from "./server.mjs";

globalThis.crypto ??= webcrypto; // the clients ask for what browsers and Node 19 have; Debian has Node 18

let base; // of the server

// --- A browser ---

const unescape = (s) => s.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&#96;/g, "`").replace(/&amp;/g, "&");

class Browser {
  constructor() { this.cookie = ""; }
  async go(url, form) {
    const headers = this.cookie ? { Cookie: this.cookie } : {};
    const init = { headers, redirect: "manual" };
    if (form) Object.assign(init, { method: "POST", body: new URLSearchParams(form), headers: { ...headers, Origin: base, "Sec-Fetch-Site": "same-origin" } });
    const res = await fetch(new URL(url, base), init);
    const set = res.headers.get("set-cookie");
    if (set) { this.cookie = set.split(";")[0]; secrets.push(this.cookie.split("=")[1]); }
    return res;
  }
  // Follows pages and forms until the program's own address comes.
  async visit(url) {
    for (let res = await this.go(url); ;) {
      if (res.status === 303) {
        const to = new URL(res.headers.get("location"), base);
        if (to.origin !== new URL(base).origin) return to;
        res = await this.go(to);
        continue;
      }
      const text = await res.text();
      const form = /<form method="post" action="([^"]*)">([\s\S]*?)<\/form>/.exec(text);
      if (!form) return text;
      const fields = Object.fromEntries([...form[2].matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)].map((m) => [m[1], unescape(m[2])]));
      for (const [, name, options] of form[2].matchAll(/<select name="([^"]*)">([\s\S]*?)<\/select>/g)) fields[name] = unescape(/<option value="([^"]*)">/.exec(options)[1]);
      if (form[2].includes('name="password"')) Object.assign(fields, { email: EMAIL, password: PASSWORD });
      if (form[2].includes('name="decision"')) fields.decision = "allow";
      res = await this.go(unescape(form[1]), fields);
    }
  }
}

// --- oauth4webapi ---

const insecure = { [oauth.allowInsecureRequests]: true };

async function withOauth4webapi(name, metadata, clientAuth) {
  const issuer = new URL(base);
  for (const algorithm of ["oidc", "oauth2"]) {
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...insecure }));
    const registered = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
      client_name: name, redirect_uris: ["https://app.example.com/cb"], post_logout_redirect_uris: ["https://app.example.com/bye"],
      grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], ...metadata }, insecure));
    const client = { ...registered }, auth = clientAuth(registered.client_secret);
    if (registered.client_secret) secrets.push(registered.client_secret);
    const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce();
    const url = new URL(as.authorization_endpoint);
    for (const [k, v] of Object.entries({ client_id: client.client_id, redirect_uri: "https://app.example.com/cb", response_type: "code", scope: "openid email profile database", state, nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", resource: base, max_age: "600" })) url.searchParams.set(k, v);
    const browser = new Browser();
    const back = await browser.visit(url);
    secrets.push(back.searchParams.get("code"));
    const params = oauth.validateAuthResponse(as, client, back, state);
    const response = await oauth.authorizationCodeGrantRequest(as, client, auth, params, "https://app.example.com/cb", verifier, { additionalParameters: { resource: base }, ...insecure });
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, maxAge: 600, requireIdToken: true });
    await oauth.validateApplicationLevelSignature(as, response, insecure);
    secrets.push(tokens.access_token, tokens.refresh_token, tokens.id_token);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    equal(`${name} ${algorithm}: ID token`, [claims.iss, claims.aud, claims.email], [base, client.client_id, EMAIL]);
    const info = await oauth.processUserInfoResponse(as, client, claims.sub, await oauth.userInfoRequest(as, client, tokens.access_token, insecure));
    equal(`${name} ${algorithm}: userinfo`, info.email, EMAIL);
    const rows = await oauth.protectedResourceRequest(tokens.access_token, "POST", new URL(`/v1/db/${tokens.database}/query`, base),
      new Headers({ "Content-Type": "application/json" }), JSON.stringify({ sql: "SELECT 1" }), insecure);
    equal(`${name} ${algorithm}: the database`, (await rows.json()).data.rows, [[1]]);
    const refreshed = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, insecure));
    secrets.push(refreshed.access_token, refreshed.refresh_token);
    equal(`${name} ${algorithm}: refreshed`, refreshed.refresh_token !== tokens.refresh_token, true);
    if (registered.client_secret) {
      const about = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, refreshed.access_token, insecure));
      equal(`${name} ${algorithm}: introspection`, [about.active, about.sub], [true, claims.sub]);
    }
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, refreshed.refresh_token, insecure));
    const over = await fetch(`${base}/v1/me`, { headers: { Authorization: `Bearer ${refreshed.access_token}` } });
    equal(`${name} ${algorithm}: given back`, over.status, 401);
    const again = await oauth.refreshTokenGrantRequest(as, client, auth, refreshed.refresh_token, insecure);
    const error = await oauth.processRefreshTokenResponse(as, client, again).catch((e) => e);
    equal(`${name} ${algorithm}: refused in the library's words`, [error.constructor.name, error.error], ["ResponseBodyError", "invalid_grant"]);
    const silent = new URL(url);
    silent.searchParams.set("prompt", "none");
    let refusal;
    try { oauth.validateAuthResponse(as, client, await new Browser().visit(silent), state); } catch (e) { refusal = e; }
    equal(`${name} ${algorithm}: a refusal carries state and iss`, [refusal?.constructor.name, refusal?.error], ["AuthorizationResponseError", "login_required"]);
  }
}

// --- openid-client ---

async function withOpenidClient(name, metadata, clientAuth) {
  const allow = { execute: [openid.allowInsecureRequests] };
  const config = await openid.dynamicClientRegistration(new URL(base), { client_name: name, redirect_uris: ["http://127.0.0.1/cb"], post_logout_redirect_uris: ["https://app.example.com/bye"],
    grant_types: ["authorization_code", "refresh_token"], ...metadata }, clientAuth, allow);
  openid.enableNonRepudiationChecks(config); // signatures of ID tokens are verified, not only received over TLS
  if (config.clientMetadata().client_secret) secrets.push(config.clientMetadata().client_secret);
  const verifier = openid.randomPKCECodeVerifier(), state = openid.randomState(), nonce = openid.randomNonce();
  const url = openid.buildAuthorizationUrl(config, { redirect_uri: "http://127.0.0.1:41999/cb", scope: "openid email database offline_access", state, nonce,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" });
  const browser = new Browser();
  const back = await browser.visit(url);
  secrets.push(back.searchParams.get("code"));
  const tokens = await openid.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true });
  secrets.push(tokens.access_token, tokens.refresh_token, tokens.id_token);
  const { sub } = tokens.claims();
  equal(`${name}: userinfo`, (await openid.fetchUserInfo(config, tokens.access_token, sub)).email, EMAIL);
  const rows = await openid.fetchProtectedResource(config, tokens.access_token, new URL(`/v1/db/${tokens.database}/query`, base), "POST", JSON.stringify({ sql: "SELECT 2" }),
    new Headers({ "Content-Type": "application/json" }));
  equal(`${name}: the database`, (await rows.json()).data.rows, [[2]]);
  const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token);
  secrets.push(refreshed.access_token, refreshed.refresh_token);
  if (config.clientMetadata().client_secret) equal(`${name}: introspection`, (await openid.tokenIntrospection(config, refreshed.access_token)).active, true);
  await openid.tokenRevocation(config, refreshed.access_token);
  equal(`${name}: given back`, (await fetch(`${base}/v1/me`, { headers: { Authorization: `Bearer ${refreshed.access_token}` } })).status, 401);
  const replay = await openid.refreshTokenGrant(config, tokens.refresh_token).catch((e) => e);
  equal(`${name}: a replay`, replay.error, "invalid_grant");
  const out = openid.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: "https://app.example.com/bye", state: "bye" });
  equal(`${name}: signed out`, (await browser.visit(out)).href, "https://app.example.com/bye?state=bye");
}

await withServer(async (address) => {
  base = address;
  await part("basic", () => withOauth4webapi("basic", {}, (secret) => oauth.ClientSecretBasic(secret)));
  await part("post", () => withOauth4webapi("post", { token_endpoint_auth_method: "client_secret_post" }, (secret) => oauth.ClientSecretPost(secret)));
  await part("public", () => withOauth4webapi("public", { token_endpoint_auth_method: "none", id_token_signed_response_alg: "ES256" }, () => oauth.None()));
  await part("openid-client", () => withOpenidClient("openid-client", { token_endpoint_auth_method: "client_secret_basic" }, undefined));
  await part("openid-client, public", () => withOpenidClient("openid-client, public", { token_endpoint_auth_method: "none", id_token_signed_response_alg: "ES256" }, openid.None()));
});
