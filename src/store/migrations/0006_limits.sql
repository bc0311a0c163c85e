-- what limits count that a restart mustn't forget, and what they tell callers apart by

-- peers at which people proved to be themselves; `peer` is of `domain::peer`, here and elsewhere
create table devices (
    user blob not null references users (id),
    peer blob not null,
    seen integer not null,
    primary key (user, peer)
) strict, without rowid;
create index devices_by_age on devices (seen);

-- what was used up lately of limits: `what` is the code of `domain::limit`, `part` the number of a 24th of its window
create table spending (
    what integer not null,
    subject blob not null,
    part integer not null,
    count integer not null,
    -- when it is given back
    ends integer not null,
    primary key (what, subject, part)
) strict, without rowid;
create index spending_by_end on spending (ends);

-- of mails that their recipient may not want, when each is to go at the earliest; the next ones go by how many went lately
alter table mails add column planned integer;
create index mails_by_plan on mails (address, planned) where planned is not null;

-- who signed up; null where nothing limits them
alter table sign_ups add column peer blob;
create index sign_ups_by_peer on sign_ups (peer, expires) where peer is not null;
