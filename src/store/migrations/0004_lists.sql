-- What lists are read along. The promise is that a page costs the same however much there is, whatever is asked for, so no list may read
-- past entries that don't match. Filters of few values make a *class*, one small number, and the entries of each class are read in the
-- list's order along an index that begins with it; a page merges the classes that were asked for (`with recursive walk` in the queries).
-- Those name their index: several would do to find an entry, and the wrong one reads past everything. Filters by the beginning of an address
-- go along the addresses, in their order.
--
-- What is asked of another table's row stands beside the entry: the address in the form that equality is judged on, whether the login
-- is active, how the newest mail has fared. Triggers keep these copies, so that no write can forget one of them, and erasing or changing
-- the original changes them in the same statement. Inserting a user or an invitation alone gives the address itself: with a trigger on its
-- insert, SQLite would look through every table that refers to one.

-- users: by activity and mark, in the order of their ids or of their addresses. Whoever was erased is in no class and so never listed.
alter table users add column folded text;
alter table users add column class integer generated always as (iif(deleted = 0, active * 2 + super_admin, null)) virtual;
update users set folded = (select addresses.folded from addresses where addresses.id = users.address);
create index users_by_class on users (class, id);
create index users_by_class_and_address on users (class, folded);
create trigger users_moved after update of address on users begin
    update users set folded = (select addresses.folded from addresses where addresses.id = new.address) where id = new.id;
end;

-- members: by activity, privilege and roles, in the order of joining or of their addresses
alter table members add column folded text;
alter table members add column active integer not null default 1 check (active in (0, 1));
alter table members add column class integer generated always as (active * 64 + privilege * 16 + roles) virtual;
update members set (folded, active) = (select users.folded, users.active from users where users.id = members.user);
create index members_by_class on members (account, class, joined, user);
create index members_by_class_and_address on members (account, class, folded);
create trigger members_inserted after insert on members begin
    update members set (folded, active) = (select users.folded, users.active from users where users.id = new.user)
     where account = new.account and user = new.user;
end;
create trigger users_changed after update of folded, active on users begin
    update members set folded = new.folded, active = new.active where user = new.id;
end;

-- accounts: by being closed and having a manager, in the order of their names
alter table accounts add column class integer generated always as (closed * 2 + has_manager) virtual;
create index accounts_by_class on accounts (class, name);

-- invitations: by stored state and the state of the newest mail, newest first or in the order of addresses
alter table invitations add column folded text;
alter table invitations add column delivery integer not null default 0;
alter table invitations add column class integer generated always as (state * 8 + delivery) virtual;
update invitations set folded = (select addresses.folded from addresses where addresses.id = invitations.address),
                       delivery = coalesce((select mails.state from mails where mails.id = invitations.mail), 0);
create index invitations_by_class on invitations (account, class, id);
create index invitations_by_class_and_address on invitations (account, class, folded, id);
create trigger invitations_moved after update of address on invitations begin
    update invitations set folded = (select addresses.folded from addresses where addresses.id = new.address) where id = new.id;
end;
create trigger addresses_refolded after update of folded on addresses when new.folded <> old.folded begin
    update users set folded = new.folded where address = new.id;
    update invitations set folded = new.folded where address = new.id;
end;
create trigger invitations_mailed after update of mail on invitations begin
    update invitations set delivery = coalesce((select mails.state from mails where mails.id = new.mail), 0) where id = new.id;
end;
create trigger mails_inserted after insert on mails begin
    update invitations set delivery = new.state where mail = new.id;
end;
create trigger mails_fared after update of state on mails begin
    update invitations set delivery = new.state where mail = new.id;
end;

-- events: newest first, each kind along its own index. Actor and subject are readings of the hashed bytes, in the layout of `domain::event`
-- (the actor begins at byte 34), and are computed from them whenever they are asked for. So nothing has to be filled or kept, and a value to
-- search by can't say anything else than history does.
alter table events add column actor blob generated always as (
    substr(bytes, 34, case substr(bytes, 34, 1) when x'03' then 5 when x'04' then 17 when x'05' then 17 else 1 end)
) virtual;
-- where the option of the person acted for stands: behind an actor who, as a user, has an option of the session and a mark too
alter table events add column actor_end integer generated always as (
    34 + case substr(bytes, 34, 1) when x'03' then 5 when x'04' then iif(substr(bytes, 51, 1) = x'01', 35, 19) when x'05' then 17 else 1 end
) virtual;
alter table events add column client_at integer generated always as (
    actor_end + iif(substr(bytes, actor_end, 1) = x'01', 17, 1)
) virtual;
-- behind the option of the client's address stand the door, the trace id and the kind, and then the state
alter table events add column state_at integer generated always as (
    client_at + iif(substr(bytes, client_at, 1) = x'01', 33, 1) + 19
) virtual;
-- states begin with what they are about, those of members (30 to 39) with the account and then the user; those below 20 are about an account
-- or the server itself
alter table events add column subject blob generated always as (
    case when kind < 20 then null when kind between 30 and 39 then substr(bytes, state_at + 16, 16) else substr(bytes, state_at, 16) end
) virtual;
create index events_by_kind on events (kind);
create index events_by_account_and_kind on events (account, kind) where account is not null;
create index events_by_actor on events (actor, kind);
create index events_by_account_and_actor on events (account, actor, kind) where account is not null;
create index events_by_subject on events (subject, kind) where subject is not null;
create index events_by_account_and_subject on events (account, subject, kind) where account is not null and subject is not null;
create index events_by_time on events (time);
-- what is asked for an account goes along its kinds now
drop index events_by_account;
