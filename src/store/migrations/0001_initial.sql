-- Everything the service keeps. Times are microseconds since the Unix epoch, UTC. Ids are 16-byte UUIDs. Codes of enums are
-- those of the contract. `version` is the number of the event that last changed the row: the source of its etag.

-- the data itself: which history this is, and the edition that it was last served as
create table server (
    one integer primary key check (one = 1),
    epoch blob not null check (length(epoch) = 16),
    edition integer not null check (edition in (1, 2)),
    created integer not null
) strict;

-- every address ever mentioned, by the form that equality is judged on; erasing a person deletes the row
create table addresses (
    id blob not null primary key check (length(id) = 16),
    folded text not null unique check (folded like '_%@_%')
) strict, without rowid;

create table accounts (
    id blob not null primary key check (length(id) = 16),
    name text not null unique check (length(name) between 2 and 63),
    display_name text not null,
    timezone text not null,
    closed integer not null default 0 check (closed in (0, 1)),
    -- an active member may manage users; kept by the last-admin guard alone, which needs to know how it was before a write
    has_manager integer not null default 0 check (has_manager in (0, 1)),
    created integer not null,
    version integer not null
) strict, without rowid;

create table users (
    id blob not null primary key check (length(id) = 16),
    address blob not null unique references addresses (id),
    email text not null,
    display_name text not null,
    -- a PHC string, or null for a login that can't be entered by password
    password text,
    active integer not null default 1 check (active in (0, 1)),
    super_admin integer not null default 0 check (super_admin in (0, 1)),
    created integer not null,
    version integer not null
) strict, without rowid;

create table members (
    account blob not null references accounts (id),
    user blob not null references users (id),
    privilege integer not null check (privilege in (1, 2, 3)),
    -- bit 0 Admin, 1 Alerts, 2 Data, 3 Trending
    roles integer not null default 0 check (roles between 0 and 15),
    joined integer not null,
    invitation blob references invitations (id),
    version integer not null,
    primary key (account, user)
) strict, without rowid;
create index members_by_user on members (user, account);
create index members_by_joining on members (account, joined, user);
-- who may manage users: the last-admin guard finds one without reading past the other members
create index members_managing on members (account, user) where privilege = 1 or roles & 1 <> 0;

create table services (
    id blob not null primary key check (length(id) = 16),
    name text not null,
    -- bit 0 users.read, 1 users.write, 2 users.act_as, 3 access.check, 4 access.watch, 5 operations.read
    scopes integer not null check (scopes > 0),
    account blob references accounts (id),
    -- SHA-256 of its token
    token blob unique check (length(token) = 32),
    certificate text,
    created integer not null,
    expires integer,
    revoked integer not null default 0 check (revoked in (0, 1)),
    version integer not null,
    check ((token is null) <> (certificate is null))
) strict, without rowid;
create unique index services_live_name on services (name) where revoked = 0;
create unique index services_live_certificate on services (certificate) where revoked = 0;

create table invitations (
    id blob not null primary key check (length(id) = 16),
    account blob not null references accounts (id),
    address blob not null references addresses (id),
    email text not null,
    privilege integer not null check (privilege in (1, 2, 3)),
    roles integer not null default 0 check (roles between 0 and 15),
    -- 1 pending (or expired, by the clock), 2 accepted, 3 ignored, 4 withdrawn
    state integer not null check (state in (1, 2, 3, 4)),
    -- who last created, edited or resent it: an operator when both are null, a service acting for a user when both are set
    grantor_user blob references users (id),
    grantor_service blob references services (id),
    -- what makes the link: new with each mail
    nonce blob not null check (length(nonce) = 16),
    created integer not null,
    expires integer,
    send_count integer not null,
    first_opened integer,
    answered_by blob references users (id),
    -- the newest mail
    mail blob references mails (id) deferrable initially deferred,
    version integer not null
) strict, without rowid;
create unique index invitations_unanswered on invitations (account, address) where state = 1;
create index invitations_unanswered_by_account on invitations (account, id) where state = 1;
create index invitations_by_account on invitations (account, id);
create index invitations_by_address on invitations (address, id) where state = 1;
create index invitations_by_any_address on invitations (address);
-- what a deleted mail is looked up by, to see that no invitation refers to it
create index invitations_by_mail on invitations (mail) where mail is not null;

-- sign-ups that wait for their confirmation; not events, and deleted some time after they ended
create table sign_ups (
    id blob not null primary key check (length(id) = 16),
    address blob not null references addresses (id),
    email text not null,
    display_name text not null,
    password text not null,
    nonce blob not null check (length(nonce) = 16),
    -- the address had an open invitation: what confirming takes where sign-up is by invitation
    invited integer not null check (invited in (0, 1)),
    -- 1 open, 2 confirmed, 3 ended
    state integer not null default 1 check (state in (1, 2, 3)),
    -- how many passwords were tried at its link; counted before each is checked
    tries integer not null default 0,
    user blob references users (id),
    created integer not null,
    expires integer not null
) strict, without rowid;
create index sign_ups_by_address on sign_ups (address, id);
create index sign_ups_by_expiry on sign_ups (expires);

create table sessions (
    id blob not null primary key check (length(id) = 16),
    user blob not null references users (id),
    -- SHA-256 of its token
    token blob not null unique check (length(token) = 32),
    -- when the password was typed
    authenticated integer not null,
    -- written once a minute, not at each use
    last_used integer not null,
    expires integer not null,
    ended integer
) strict, without rowid;
create index sessions_live_by_user on sessions (user, id) where ended is null;
create index sessions_by_expiry on sessions (expires);

-- the outbox: a mail is owed from the commit that asked for it until a relay took it or it is no longer wanted
create table mails (
    id blob not null primary key check (length(id) = 16),
    -- 1 invitation, 2 sign-up, 3 confirmation again; others to come
    kind integer not null check (kind > 0),
    invitation blob references invitations (id),
    sign_up blob references sign_ups (id) on delete set null,
    address blob not null references addresses (id),
    recipient text not null,
    -- 1 queued, 2 sending, 3 sent, 4 failed, 5 dropped
    state integer not null default 1 check (state in (1, 2, 3, 4, 5)),
    attempts integer not null default 0,
    last_reply text not null default '',
    created integer not null,
    due integer not null,
    sent integer
) strict, without rowid;
create index mails_open on mails (due, id) where state in (1, 2);
create index mails_by_state on mails (state, id);
create index mails_by_sign_up on mails (sign_up) where sign_up is not null;
create index mails_by_address on mails (address);
-- what follows sign-ups is forgotten after a while
create index mails_of_sign_ups on mails (created) where kind in (2, 3) and state in (3, 4, 5);

-- answered mutations, so that a retry finds its answer; kept for 24 hours
create table requests (
    caller blob not null,
    rpc text not null,
    id blob not null check (length(id) = 16),
    fingerprint blob not null check (length(fingerprint) = 32),
    -- JSON of ids, enums and times: no secret and no personal value
    outcome text not null,
    created integer not null,
    primary key (caller, rpc, id)
) strict, without rowid;
create index requests_by_age on requests (created);

-- the record of every change. `bytes` is what happened, in the versioned layout of `domain::event`; the columns beside it are
-- readings of it to search by. `hash` is SHA-256 of `bytes`, which end with the hash before.
create table events (
    seq integer primary key,
    time integer not null,
    kind integer not null,
    account blob,
    bytes blob not null,
    hash blob not null check (length(hash) = 32)
) strict;
create index events_by_account on events (account, seq) where account is not null;

-- the personal values that events hold digests of, in the order in which they stand there; erasure deletes them
create table personal_values (
    seq integer not null references events (seq),
    slot integer not null,
    salt blob not null check (length(salt) = 16),
    value text not null,
    -- the user or address that the value says something about
    subject blob not null check (length(subject) = 16),
    primary key (seq, slot)
) strict, without rowid;
create index personal_values_by_subject on personal_values (subject);
