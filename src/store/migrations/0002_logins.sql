-- what logins need besides signing up and in: links that set a password or change an address, and erasure

-- an erased person keeps the row, since history and invitations name them by id; nothing personal is left in it
alter table users add column deleted integer not null default 0 check (deleted in (0, 1));

-- addresses that a user held before: erasing the person erases those too, unless somebody else holds them now
create table former_addresses (
    user blob not null references users (id),
    address blob not null references addresses (id),
    primary key (user, address)
) strict, without rowid;
create index former_addresses_by_address on former_addresses (address);

create table login_links (
    id blob not null primary key check (length(id) = 16),
    user blob not null references users (id),
    -- 1 sets another password, 2 sets the first one, 3 changes the address
    purpose integer not null check (purpose in (1, 2, 3)),
    -- the new address, which the link is mailed to
    address blob references addresses (id),
    email text,
    -- the session that asked for the change, which goes on after it
    session blob,
    nonce blob not null check (length(nonce) = 16),
    -- 1 open, 2 used, 3 ended
    state integer not null default 1 check (state in (1, 2, 3)),
    -- how many passwords were tried at it; counted before each is checked
    tries integer not null default 0,
    created integer not null,
    expires integer not null,
    check ((purpose = 3) = (address is not null)),
    check ((address is null) = (email is null))
) strict, without rowid;
create index login_links_by_user on login_links (user, id);
create index login_links_by_expiry on login_links (expires);
create index login_links_by_address on login_links (address) where address is not null;

-- kinds: 4 another password, 5 the first password, 6 another address; 7 to 10 tell of a change of password, address or super-admin mark
alter table mails add column link blob references login_links (id) on delete set null;
alter table mails add column user blob references users (id);
create index mails_by_link on mails (link) where link is not null;
-- of an invitation's mail it is the grantor, whose name it tells
create index mails_by_user on mails (user) where user is not null;
-- all but those of invitations are forgotten after a while
drop index mails_of_sign_ups;
create index mails_passing on mails (created) where kind <> 1 and state in (3, 4, 5);

-- all of a user's sessions, ended ones too, are deleted when the user is erased
create index sessions_by_user on sessions (user);

-- somebody was erased: what the file still holds of them in its free space has to be overwritten
alter table server add column erasing integer not null default 0 check (erasing in (0, 1));
-- mails of erased people that may still lie in the mail directory
create table erased_mails (
    id blob not null primary key check (length(id) = 16)
) strict, without rowid;
