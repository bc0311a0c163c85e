//! The threat model: what is worth attacking, who attacks from where, what stops them, which test shows it, and what isn't defended.
//!
//! `suite refusals` means `cargo test --test suite refusals`, `faults kills` means `cargo test --test faults -- kills`, `lib` the tests beside the
//! code (`cargo test --lib`). `tests/rules/promises.rs` fails when a name on this page or in the README's table is no test's any more.
//!
//! # What is worth attacking
//!
//! | asset | lies in | whoever has or bends it |
//! | --- | --- | --- |
//! | the decisions | [`crate::directory`], from the database | can change any alert rule of the site, or stop those who should |
//! | logins: passwords, sessions, tokens | the database, as argon2id and SHA-256 | is somebody |
//! | the link key | a file of its own, a systemd credential on a good day | can make links into logins, together with a copy of the database |
//! | the history | the database, as a chain of hashes | can hide who gave whom what |
//! | addresses and names | the database, mail, `debug` logs | knows who works for whom |
//! | the way back in | the operators' socket | keeps the site's own people out |
//!
//! # Who attacks, and what stops them
//!
//! **A stranger who reaches the listener.**
//!
//! | they try | what stops them | shown by |
//! | --- | --- | --- |
//! | which addresses have a login, which accounts, people and invitations there are | one answer for all of them, by the same hashes, statements and rows ([`crate::app::sign_up`], [`crate::app::admission`]); a login whose hash still has a former cost isn't alone with it | `suite refusals`, `outsiders` |
//! | guessing passwords, one address or many | tries are paid for before hashing, by address and peer, known people's too, and capped in total for one address; strangers elsewhere lock nobody out (`app::limits`) | `suite limits::signing_in`, `outsiders at_once` |
//! | who is known at a peer that they share, by having its or an address's tries used up | all are compared and answered alike then, from a reserve of the peer's | `outsiders used_up` |
//! | guessing tokens | 256 random bits, or a MAC of 256 bits over a nonce of 128; compared in constant time; checked by form first | `lib token`, `suite callers` |
//! | using up the host by hashing | a peer pays for each hash before it is made; a bounded number at once, and peers take turns | `outsiders at_once`, `lib turns` |
//! | using the site as a mail bomb | per recipient mail is put off and merged, per peer refused, and a restart forgets none; a reset goes each hour all the same | `suite limits::mails`, `suite limits::signing_up` |
//! | text of theirs in the site's mail | mail that anybody can cause has none; names are one line without address, control or direction characters. **Not stopped**: an address that is written like a name, `Evil.Example` like `St.John` | `lib mail::renderer`, `lib name` |
//! | signing up with somebody's address before them | a login takes the link *and* the password of the same sign-up; others' sign-ups of the address end none | `suite signing_up` |
//! | silence, half handshakes, stalled requests, floods of streams, resets, header fields and tiny frames, answers not taken | deadlines and bounds for each connection, a share of connections, calls and bytes for each peer, a whole for all; peers take turns to be read, and pay for what is refused to them; operators have permits of their own ([`crate::server`]) | `server hostile`, `lib server::turns` |
//! | little that unpacks to much | nothing compressed is taken; header fields, messages and the entries of each have limits | `server hostile::what_unpacks` |
//! | requests that nobody would send | everything is parsed once at the edge into values that can't be wrong | `fuzz`, `suite violations`, `lib whatever_is_sent` |
//!
//! **Somebody between a client and the service, or between it and the relay.**
//!
//! | they try | what stops them | shown by |
//! | --- | --- | --- |
//! | reading or changing what passes | TLS 1.2 and 1.3 alone; plaintext only to loopback unless it is written out; the relay's certificate is checked, and credentials never go in the clear | `server tls`, `mail` |
//! | a certificate by a name that looks right | services are found by an exact SAN of a certificate that the configured authority vouches for, never by CN; names are read from strict DER alone | `suite callers::certificates`, `lib names_are_read_from_der_alone` |
//! | being an operator through a proxy, or somebody else | the uid counts on the operators' socket alone, and not with a header that proxies set; whom a proxy forwards is believed of trusted ones only | `suite callers`, `suite limits::proxies` |
//!
//! **Whoever reads a mail that isn't theirs**: a scanner, a forwarded thread, a shared mailbox.
//!
//! | they try | what stops them | shown by |
//! | --- | --- | --- |
//! | opening the link, or pressing its button | opening changes nothing; an invitation takes a session of the confirmed address, a confirmation its sign-up's password | `suite invitations::answering`, `suite signing_up` |
//! | using a reset link of somebody else | **not stopped** while it is open (an hour): who reads the mailbox has the login. The owner is told by mail, and every session ends | `suite logins::passwords` |
//! | an old link | resending, editing a login and using a link end those before; the nonce changes | `suite invitations::sending`, `suite logins::ending` |
//!
//! **A member, a former member, a manager of another account.**
//!
//! | they try | what stops them | shown by |
//! | --- | --- | --- |
//! | more than their column and roles open | one pure function decides ([`crate::domain::policy`]), all rows of it reviewed; every RPC against every caller too | `rules access`, `rules page`, `suite matrix` |
//! | raising themself, also through a service, a super-admin's mark or their own invitation | one's own privilege and roles are only lowered; nobody edits their own way in | `suite members::guards`, `suite invitations::updating` |
//! | a grant that outlives the right to give it | whoever last granted must be able to grant now, or the invitation is held | `suite invitations::held` |
//! | acting after removal | access, tokens and sessions end in the write whose answer says so | `suite members::ending`, `suite api_tokens::ending` |
//! | taking the last Admin away, at once from two sides | judged inside the write, on the whole of it | `suite members::guards`, `suite races` |
//! | looking into other accounts | what they may not see is answered like what isn't there | `suite refusals`, `suite shown` |
//! | mail in the site's name to many | invitations by grantor, account and recipient are limited | `suite limits::inviting` |
//! | being invited by an address that only looks like a colleague's | whoever manages is told of a domain in mixed scripts, or like another one in the account that as many members have ([`crate::domain::look_alike`]); it is their choice. **Not told**: look-alikes in front of the `@`, of domains that nobody in the account has, and of those that fewer members have than the look-alike | `suite invitations::look_alikes` |
//!
//! **Whoever finds a token**: a service's, a person's, a stolen session.
//!
//! | they try | what stops them | shown by |
//! | --- | --- | --- |
//! | a service's token for more than its work | scopes and an account, read at each call; never an operator; acting for people takes their right too | `suite matrix`, `suite callers::acting` |
//! | a personal token for more than its owner | effect = what the owner may now, within the cap; opens neither the login nor other accounts | `suite api_tokens::opening` |
//! | a session for guessing the password, or for an operator's acts | tries in a session are paid for; a super-admin is an operator for 15 minutes after typing it | `suite limits::signing_in`, `suite callers::sessions` |
//! | using one until its owner notices | who finds it too ends it by its text, without knowing whose it is ([`crate::app::tokens`]); sessions end when idle, personal tokens after a year at most | `suite callers::leaked` |
//! | finding tokens in logs, errors, events, stored answers | secret types, and messages that hold one, have no text form; what is stored is a hash; a retry shows none again. The program forbids core dumps and being read by others than root | `server secrets`, `suite retries`, `lib a_reply_that_quotes_the_link` |
//!
//! **Whoever has the host's files**: a copy of the data, a backup, a login on the host.
//!
//! | they try | what stops them | shown by |
//! | --- | --- | --- |
//! | using what is in a copy | tokens are in it as hashes, and with the link key elsewhere and a relay for the mail no link can be had from it; passwords are argon2id; a key that got out is rotated, and its links end | `lib links_of_a_former_key`, `suite link_keys` |
//! | reading or bending the data, its mails, a key or a password as another user of the host | 0600 and 0700 whatever the umask; what others could read or bend is refused at the start, and so is a place below a directory that everybody may write ([`crate::ownership`]) | `suite starts`, `server what_others_could_read`, `server a_key_that_everybody`, `lib a_file_for_a_password` |
//! | saying whom to trust: by the configuration, certificates and authorities, mail's templates and program | what others could write, or another user than root and the service's own owns, isn't taken, at a reload neither | `suite starts`, `server others_could`, `lib a_file_that_others_could_write` |
//! | editing history or members with SQL | the chain finds what was edited, dropped or put elsewhere, personal values too that no erasure explains; a head kept elsewhere finds a rewritten or shortened one; what stands in the tables is compared with it | `suite history`, `rules event_bytes` |
//! | having tracks go with old events: by the configuration, by the clock, by a break that goes with them | events are kept for 30 days at least; time counts as far as history had come a day ago, and no further than the clock said in any minute of the day (after a start, of twelve hours); nothing goes unless all is whole, and what was kept is compared with a digest in the chain | `suite history::trimming`, `suite history::kept` |
//! | the sockets | others can't write their directories, and on the operators' one the kernel says whose uid it is | `lib listener`, `suite callers` |
//!
//! **Operators in a hurry, and the host itself.**
//!
//! | what goes wrong | what helps | shown by |
//! | --- | --- | --- |
//! | the wrong person, the wrong edition, the last Admin | `validate_only` and `--dry-run` tell the effects; `PreviewEdition`; `leave_without_admin` has to be written out | `suite matrix::rehearsed`, `suite matrix::effects`, `suite edition`, `suite logins::operators` |
//! | a certificate or configuration that is broken | the old certificate stays, and status, metrics and log say so; a configuration is refused whole, with every mistake in it | `server reload`, `lib config` |
//! | a crash, a full disk, a disk that fails, a clock that jumps | answered after the commit; a fault tells every caller; history never goes back | `faults kills`, `faults disk`, `faults clock` |
//! | the relay is down, slow or lies | mail stays owed, and is sent again under its old Message-ID | `faults relay`, `suite delivery` |
//! | the key beside old data is gone | the service doesn't start rather than make another | `suite starts` |
//!
//! # What is not defended
//!
//! - **A second person who has to agree.** Whoever has `MANAGE_USERS` grants alone; so does an operator. It is on record who did.
//! - **A stolen root, or the service's own uid.** They read memory and key, and write what they like. A head of the history kept on another
//!   host shows that it was rewritten, not what stood there. They can also make up that old events went: heads kept elsewhere that are younger than
//!   `events.retention_days` and can't be compared any more show that.
//! - **Addresses where old events went.** What tells of the former addresses of an erased person goes with time. From then on an address's own row is
//!   believed that it was erased with somebody, if anybody was: whoever can write the file can blank invitations to addresses that nobody has a
//!   login with.
//! - **A copy of the whole data directory as it is by default.** The link key lies in it, and so do mails until a relay is configured: together they
//!   are every open link. `link_key_file` and `mail.transport` put both elsewhere, as the systemd unit does with the key.
//! - **Power loss beyond fsync.** A disk that says "written" before it is loses what was answered.
//! - **A mailbox in other hands.** Addresses are proved by mail and logins regained by it: a mailbox is a login.
//! - **A manager who means harm** inside their own account, and a member who does what their permissions open.
//! - **Four peers together**, or many networks, can hold all connections or calls, and then others wait or are refused, operators on their
//!   socket apart; so can one client of a trusted proxy that doesn't limit its clients. Memory stays bounded. A peer that asks as fast as it can
//!   has a turn whenever everybody had theirs, and so takes what nobody else wants of the processor: a thousand peers that do take turns too. What
//!   it has to pay for makes those wait who share its address, for seconds where it has many connections.
//! - **The last of what time tells of an address**: a look-up finds its row or doesn't, an address is mentioned for the first time or again, a
//!   mail that waits makes way or none does; and what mail goes is decided right after the answer. While logins have hashes of several costs,
//!   whoever measures an address before and after its login ends, or the link key is rotated, may see its time change once;
//!   and when others' logins of the present cost end, some addresses without one go back to a former cost, as no login does. After a commit in
//!   doubt what it changed of the logins' costs isn't counted until a restart: addresses without a login may have a cost more or less often than
//!   logins do. How much is left shows `cargo bench --bench outsiders`.
//! - **A flood of packets** that fills the network before the service.
//! - **A shared peer.** Who shares an address with a person can use up that person's tries there by 20 wrong ones an hour, and by some 1,200
//!   those of everybody there: one of 20 comes back every three minutes, sessions go on, and elsewhere people get in, with a link from a mail
//!   where they aren't known. By 500 mails an hour, `limits.mails_per_peer`, they use up everybody's sign-ups and resets there for an hour. A proxy
//!   that isn't listed in `web.trusted_proxies` makes one peer of all who come through it.
//! - **That somebody else tries an address**: the last of its 20 tries an hour is gone sooner for whoever counts them. Whether it has a login
//!   isn't told.
//! - **Passwords tried at many addresses from many networks** are bounded by each peer's allowance and by how fast passwords are hashed, and in
//!   total by nothing else.
//! - **Sign-ups of everybody.** Ten peers, such as ten /64s of one /48, can use up `limits.sign_ups`. Newcomers hear `REQUESTS_EXHAUSTED` until
//!   those expire, a day at most; operators make logins (`CreateUser`) meanwhile.
//! - **A mailbox with sub-addresses.** `x+1@` and `x+2@` are addresses of their own, and the mailbox gets the pace of each.
//! - **An address that five peers sign up with** and don't confirm: its owner's own sign-up has no place until one of theirs expires, a day at
//!   most. An operator makes the login (`CreateUser`), whose mail brings a link that sets the password, over the operators' socket at once.
//! - **That mail to an address waits**: who invites it sees that the mail doesn't go at once, and later when it went. Why isn't told, nor until when;
//!   others' mail to the address may be the reason, or the relay.
//! - **Mail that is late.** Who asks for much to one address has other mail to it put off for up to half a day, but for resets, of which one
//!   goes each hour; and where more than twenty logins or accounts cause one each, beyond what goes by the pace, for longer, so that a link may end
//!   before its mail goes, which is dropped then. What comes over the operators' socket (`SendPasswordReset`, `ResendInvitation`) isn't put off.
//! - **History that grows by sign-ins.** Whoever has the right password can sign in as often as hashing allows, and each is an event for good, or
//!   two, since a person's sessions at once are bounded.
//! - **What reads memory or time on the same host**: other users' measurements of caches, a hypervisor, a cold boot.
//! - **Mail on its way**: a relay reads what it relays, and without TLS between relays so do others.
//! - **Backups** keep what was erased since, until they are deleted.
//! - **Crates** that turn bad: their sources, licences and the one TLS stack are checked, the code of new versions isn't read.
