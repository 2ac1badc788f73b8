"""The routes of a running server, from its own /openapi.json, and how to call each of them well. A route that is not in CALLS
fails tests/e2e/test_routes.py: nobody can add one without saying what it does."""
import json

from holdfast import PASSWORD

DB = "/v1/db/{ns}/{db}"
FORM = b"x=y"  # of a form; what is in it is tested in tests/e2e/test_oauth.py

# operationId: (body or None, query string, headers). {ns} and {db} in paths are filled in.
CALLS = {
    "HEALTHZ": (None, ""), "READYZ": (None, ""), "VERSION": (None, ""), "METRICS": (None, ""), "OPENAPI": (None, ""),
    "ME": (None, ""), "WHOAMI": (None, ""),
    "DATABASE_LIST": (None, "?pageSize=100"), "DATABASE_CREATE": ({"slug": "made-{n}", "name": "Made"}, ""), "DATABASE_GET": (None, ""),
    "DATABASE_DELETE": (None, ""), "DATABASE_RESTORE": (None, ""),
    "USER_PROVISION": ({"subject": "user_{n}"}, ""),
    "SESSION_MINT": ({"databaseSlug": "main", "userId": "user_{n}"}, ""),
    "QUERY": ({"sql": "SELECT 1"}, ""), "BATCH": ({"statements": [{"sql": "SELECT 1"}]}, ""),
    "EXPLAIN": ({"sql": "SELECT 1"}, ""), "VALIDATE": ({"sql": "SELECT 1"}, ""),
    "PROPOSE": ({"sql": "DELETE FROM orders WHERE id = -1"}, ""), "APPLY": ({"executionToken": "pmut_none"}, ""),
    "PROPOSAL_LIST": (None, "?limit=5"), "PROPOSAL_GET": (None, ""), "PROPOSAL_CHANGES": (None, "?limit=5"), "PROPOSAL_WITHDRAW": (None, ""),
    "PROPOSAL_UNDO": ({"reason": "no"}, ""), "UNDO": ({"from": 0, "tokenId": "tok_none"}, ""),
    "API_PROPOSE": ({"sql": "DELETE FROM orders WHERE id = -1"}, ""), "API_APPLY": ({"executionToken": "pmut_none"}, ""),
    "API_PROPOSAL_LIST": (None, "?limit=5&agent=none"), "API_PROPOSAL_GET": (None, ""), "API_PROPOSAL_CHANGES": (None, "?limit=5"),
    "API_PROPOSAL_WITHDRAW": (None, ""), "API_PROPOSAL_UNDO": ({"reason": "no"}, ""), "API_UNDO": ({"from": 0, "tokenId": "tok_none"}, ""),
    "APPROVAL_LIST": (None, "?limit=5"), "APPROVAL_GET": (None, ""), "APPROVAL_RECEIPT": (None, ""), "APPROVAL_REDEEM": ({"approvalToken": "appr_none"}, ""),
    "API_APPROVAL_LIST": (None, "?limit=5"), "API_APPROVAL_GET": (None, ""), "API_APPROVAL_RECEIPT": (None, ""), "API_APPROVAL_REDEEM": ({"approvalToken": "appr_none"}, ""),
    "APPROVE_PAGE": (None, ""), "INBOX": (None, "?limit=5"), "INBOX_GET": (None, ""), "INBOX_RECEIPT": (None, ""), "INBOX_DECIDE": ({"decision": "approve"}, ""), "INBOX_CONFIRM": (None, ""),
    "TABLES": (None, ""), "SCHEMA": (None, ""), "DESCRIBE": (None, ""), "DESCRIBE_SET": ({"description": "text"}, ""),
    "SEARCH": (None, "?q=orders"), "DOCTOR": (None, ""), "QUERY_LOG": (None, ""),
    "BRANCH_LIST": (None, "?limit=5"), "BRANCH_PUT": ({"ttlDays": 1}, ""), "BRANCH_DELETE": (None, ""), "BRANCH_CLAIM": ({"ref": "claimed-{n}"}, ""),
    "BRANCH_MERGE": ({"mode": "schema"}, ""), "API_BRANCH_MERGE": ({"mode": "schema"}, ""),
    "MASK_LIST": (None, ""), "MASK_SET": ({"masks": []}, ""), "API_MASK_LIST": (None, ""), "API_MASK_SET": ({"masks": []}, ""),
    "SNAPSHOT_LIST": (None, ""), "SNAPSHOT_CREATE": ({"label": "made"}, ""), "SNAPSHOT_DELETE": (None, ""), "SNAPSHOT_RESTORE": ({"snapshotId": "snap_none"}, ""),
    "API_SNAPSHOT_LIST": (None, ""), "API_SNAPSHOT_CREATE": ({"label": "made"}, ""), "API_SNAPSHOT_DELETE": (None, ""), "API_SNAPSHOT_RESTORE": ({"snapshotId": "snap_none"}, ""),
    "ARCHIVE_LIST": (None, ""), "ARCHIVE_CREATE": ({"label": "made"}, ""), "ARCHIVE_DOWNLOAD": (None, ""), "ARCHIVE_DELETE": (None, ""),
    "API_ARCHIVE_LIST": (None, ""), "API_ARCHIVE_CREATE": ({"label": "made"}, ""), "API_ARCHIVE_DOWNLOAD": (None, ""), "API_ARCHIVE_DELETE": (None, ""),
    "BRANCH_PREVIEW": (None, ""), "API_BRANCH_PREVIEW": (None, ""), "BRANCH_DIFF": (None, "?limit=5"), "API_BRANCH_DIFF": (None, "?limit=5"),
    "BRANCH_PIN": ({"role": "read"}, ""), "HANDOFF_REDEEM": ({"token": "phand_none"}, ""),
    "FORK": ({"slug": "forked-{n}"}, ""), "API_FORK": ({"slug": "forked-there-{n}"}, ""),
    "API_BRANCH_LIST": (None, "?limit=5"), "API_BRANCH_PUT": ({"ttlDays": 1}, ""), "API_BRANCH_DELETE": (None, ""),
    "AUDIT_LIST": (None, "?limit=5"),
    "POLICY_LIST": (None, ""), "POLICY_CREATE": ({"name": "own {n}", "tableName": "orders", "expression": "1", "enabled": False}, ""),
    "POLICY_UPDATE": ({"enabled": False}, ""), "POLICY_DELETE": (None, ""), "POLICY_TEST": ({"tableName": "orders"}, ""),
    "PROPOSAL_SETTINGS": (None, ""), "PROPOSAL_SETTINGS_SET": ({"onDrift": "refuse"}, ""), "API_PROPOSAL_SETTINGS": (None, ""), "API_PROPOSAL_SETTINGS_SET": ({"onDrift": "refuse"}, ""),
    "RULE_LIST": (None, ""), "RULE_CREATE": ({"tableGlob": "nowhere", "action": "allow"}, ""), "RULE_UPDATE": ({"note": "other"}, ""), "RULE_DELETE": (None, ""),
    "RULE_REPLACE": ({"rules": []}, ""), "RULE_TEST": ({"write": {"sql": "DELETE FROM orders WHERE id = -1"}}, ""), "RULE_REPLAY": ({"rules": [], "sinceMs": 0}, ""),
    "API_RULE_REPLACE": ({"rules": []}, ""), "API_RULE_TEST": ({"write": {"sql": "DELETE FROM orders WHERE id = -1"}}, ""), "API_RULE_REPLAY": ({"rules": [], "sinceMs": 0}, ""),
    "API_RULE_LIST": (None, ""), "API_RULE_CREATE": ({"tableGlob": "nowhere", "action": "allow", "peopleOnly": False}, ""), "API_RULE_UPDATE": ({"note": "other"}, ""), "API_RULE_DELETE": (None, ""),
    "INVARIANT_LIST": (None, ""), "INVARIANT_CREATE": ({"name": "made {n}", "sql": "SELECT 1 WHERE 0"}, ""), "INVARIANT_DELETE": (None, ""),
    "API_INVARIANT_LIST": (None, ""), "API_INVARIANT_CREATE": ({"name": "made there {n}", "sql": "SELECT 1 WHERE 0"}, ""), "API_INVARIANT_DELETE": (None, ""),
    "ROW_SECURITY_SET": ({"tableName": "orders", "enabled": False}, ""),
    "EXPORT": (None, "?format=sql"), "IMPORT": (b"CREATE TABLE IF NOT EXISTS imported(a);", ""),
    "SIGN_UP": ({"email": "new@example.com", "password": "a long password of nobody"}, ""),
    "SIGN_IN": ({"email": "owner@example.com", "password": PASSWORD}, ""), "SIGN_OUT": (None, ""), "SESSION_GET": (None, ""), "SESSION_LIST": (None, ""),
    "SESSION_END": ({"id": "ses_none"}, ""), "SESSION_END_OTHERS": (None, ""), "PASSWORD_CONFIRM": ({"password": PASSWORD}, ""),
    "PASSWORD_CHANGE": ({"currentPassword": PASSWORD, "newPassword": PASSWORD}, ""), "ACCOUNT_DELETE": (None, ""),
    "NS_LIST": (None, ""), "NS_CREATE": ({"name": "Made {n}"}, ""), "NS_GET": (None, ""), "NS_UPDATE": ({"name": "Other"}, ""), "NS_DELETE": (None, ""),
    "NS_RESTORE": (None, ""), "NS_LEAVE": (None, ""), "MEMBER_LIST": (None, ""), "MEMBER_UPDATE": ({"role": "viewer"}, ""), "MEMBER_REMOVE": (None, ""),
    "INVITATION_LIST": (None, ""), "INVITATION_CREATE": ({"email": "new@example.com", "role": "viewer"}, ""), "INVITATION_REVOKE": (None, ""),
    "INVITE_PAGE": (None, ""), "INVITATION_ACCEPT": (None, ""), "SHARE_LIST": (None, ""), "SHARE_SET": ({"role": "viewer"}, ""), "SHARE_REMOVE": (None, ""),
    "API_DATABASE_LIST": (None, ""), "API_DATABASE_CREATE": ({"slug": "made-there-{n}"}, ""), "API_DATABASE_GET": (None, ""), "API_DATABASE_DELETE": (None, ""),
    "TOKEN_LIST": (None, "?limit=5"), "TOKEN_CREATE": ({"name": "Made"}, ""), "TOKEN_REVOKE": (None, ""), "TOKEN_ROTATE": ({"overlap": 60}, ""),
    "IDENTITY_FEDERATE": (None, ""), "ACTIONS_CONNECT": (None, ""), "AGENT_AUTH_MD": (None, ""),
    "AGENT_IDENTITY": ({"type": "identity_assertion", "assertion": "x.y.z"}, ""),
    "REPO_LIST": (None, "?limit=5"), "REPO_BIND": ({"repo": "acme/made-{n}"}, ""), "REPO_UNBIND": (None, ""),
    "OAUTH_AS": (None, ""), "OAUTH_OPENID": (None, ""), "OAUTH_RESOURCE": (None, ""), "OAUTH_JWKS": (None, ""), "OAUTH_AUTHORIZE": (None, ""),
    "OAUTH_CONSENT": (FORM, ""), "OAUTH_SIGN_IN": (FORM, ""), "OAUTH_END_SESSION": (None, ""), "OAUTH_SIGN_OUT": (FORM, ""), "OAUTH_TOKEN": (FORM, ""),
    "OAUTH_REVOKE": (FORM, ""), "OAUTH_INTROSPECT": (FORM, ""), "OAUTH_REGISTER": ({"redirect_uris": ["https://app.example.com/cb"]}, ""),
    "OAUTH_USERINFO": (None, ""), "OAUTH_USERINFO_POST": (None, ""),
    "OAUTH_CLIENT_LIST": (None, ""), "OAUTH_CLIENT_CREATE": ({"name": "App", "redirectUris": ["https://app.example.com/cb"]}, ""),
    "OAUTH_CLIENT_UPDATE": ({"name": "Other"}, ""), "OAUTH_CLIENT_SECRET": (None, ""), "OAUTH_CLIENT_DELETE": (None, ""),
    "APP_LIST": (None, ""), "APP_WITHDRAW": (None, ""),
    "API_EXPORT": (None, "?format=sql"), "API_IMPORT": (b"CREATE TABLE IF NOT EXISTS imported(a);", ""),
}
IMPORT_HEADERS = {"Content-Type": "application/sql"}
FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
# What public routes answer to these calls by a stranger, where it is not 200.
STRANGER = {"HANDOFF_REDEEM": 404, "SIGN_UP": 403, "IDENTITY_FEDERATE": 401, "ACTIONS_CONNECT": 401, "AGENT_IDENTITY": 401,
            "OAUTH_AUTHORIZE": 400, "OAUTH_CONSENT": 400, "OAUTH_SIGN_IN": 400, "OAUTH_TOKEN": 401, "OAUTH_REVOKE": 401, "OAUTH_INTROSPECT": 401,
            "OAUTH_REGISTER": 201, "OAUTH_USERINFO": 401, "OAUTH_USERINFO_POST": 401}


class Route:
    def __init__(self, path, method, doc):
        self.template, self.method, self.id = path, method.upper(), doc["operationId"]
        schemes = [name for one in doc.get("security", [{"bearer": []}]) for name in one]
        self.public, self.bearer, self.session = not schemes, "bearer" in schemes, "session" in schemes
        self.capability, self.tags = doc["x-capability"], set(doc["tags"])
        self.in_namespace, self.in_database = "{ns}" in path, "{ns}" in path and "{db}" in path
        self.takes_json = "application/json" in doc.get("requestBody", {}).get("content", {})

    def path(self, ns="acme", db="main"):
        return self.template.replace("{ns}", ns).replace("{db}", db).replace("{id}", "none")

    def good_call(self, server, ns="acme", db="main", number=0, headers=None, **more):
        method, path, body, head = self.request(self.path(ns, db), number)
        return server.call(method, path, body, headers={**head, **(headers or {})}, **more)

    def request(self, path, number=0, body=None):
        """(method, path, body, headers) of what CALLS says, at `path`; a `body` takes the place of the one there."""
        usual, query = CALLS[self.id]
        body = usual if body is None else body
        if isinstance(body, dict):
            return self.method, path + query, json.dumps(body).replace("{n}", str(number)).encode(), {"Content-Type": "application/json"}
        return self.method, path + query, body, dict(FORM_HEADERS if body is FORM else IMPORT_HEADERS if body else {})


def routes(server):
    paths = server.call("GET", "/openapi.json").json["paths"]
    return [Route(path, method, doc) for path, item in paths.items() for method, doc in item.items()]
