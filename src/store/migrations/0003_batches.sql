-- adding many invitations in one statement makes SQLite look for rows that refer to each new one, which single rows spare it
create index mails_by_invitation on mails (invitation) where invitation is not null;
create index members_by_invitation on members (invitation) where invitation is not null;
