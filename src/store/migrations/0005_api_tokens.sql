-- Personal tokens: what their owners may do in one account, or less, for programs of theirs.
create table api_tokens (
    id blob not null primary key check (length(id) = 16),
    user blob not null references users (id),
    account blob not null references accounts (id),
    name text not null,
    -- SHA-256 of it
    token blob not null unique check (length(token) = 32),
    -- the cap: the standing whose permissions it has at most; null for all that its owner has
    privilege integer check (privilege in (1, 2, 3)),
    roles integer check (roles between 0 and 15),
    created integer not null,
    -- written now and then, not at each use
    last_used integer,
    expires integer not null,
    -- when it was revoked, or ended with the membership, password or login; it never comes back
    ended integer,
    -- the event that says that it expires soon was recorded
    expiry_told integer not null default 0 check (expiry_told in (0, 1)),
    check ((privilege is null) = (roles is null))
) strict, without rowid;
create index api_tokens_live_by_user on api_tokens (user, id) where ended is null;
create index api_tokens_live_by_member on api_tokens (account, user) where ended is null;
-- ended ones too, which are deleted when their owner is erased
create index api_tokens_by_user on api_tokens (user);
create index api_tokens_by_expiry on api_tokens (expires);
create index api_tokens_untold on api_tokens (expires) where ended is null and expiry_told = 0;

alter table services add column expiry_told integer not null default 0 check (expiry_told in (0, 1));
create index services_untold on services (expires) where revoked = 0 and expiry_told = 0 and expires is not null;

-- kind 11 tells of a new personal token
alter table mails add column api_token blob references api_tokens (id) on delete set null;
create index mails_by_api_token on mails (api_token) where api_token is not null;
