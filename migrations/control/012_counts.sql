-- What a large server would count or sort at each request.

-- No fewer than the namespace's live tokens; NULL: to be counted. See internal/token/token_store.c.
ALTER TABLE namespace ADD COLUMN token_bound BIGINT;

-- A person's namespaces are listed by slug, which never changes, in pages.
ALTER TABLE namespace_member ADD COLUMN slug TEXT NOT NULL DEFAULT '';
UPDATE namespace_member SET slug = (SELECT n.slug FROM namespace n WHERE n.id = namespace_id);
DROP INDEX namespace_member_account;
CREATE INDEX namespace_member_account ON namespace_member(account_id, slug);
