//! The user management service of Circonus Inside: accounts, members, invitations, privileges and roles over gRPC.
//!
//! One program on one on-premise host keeps who may do what, in one SQLite file. Internal tools ask it "may this person do that?" thousands
//! of times a second; operators use grpcurl on a Unix socket; people answer invitations that come by mail. The README says how to use it;
//! this page says how it is built.
//!
//! # The map of the house
//!
//! | room | what it owns |
//! | --- | --- |
//! | `main`, [`config`], [`logging`] | arguments, file and environment become one validated value; problems become one line each |
//! | [`cli`] | the operators' commands: calls to the running server, else to the same services over the locked data |
//! | [`serve`] | the whole service as a value: `bind`, then `run`; `main` and the tests use the same two calls |
//! | [`server`] | listeners, one acceptor, a runtime for each core, health, the shutdown that always ends |
//! | [`metrics`] | what is counted, and the listener where it is read |
//! | [`tls`] | certificates: the server's and its clients', until when they are good, loading them anew |
//! | [`api`] | gRPC: extracts credentials, parses, answers; the one table from errors to statuses |
//! | [`app`] | what the service does, one file per noun; who is calling, and what that opens |
//! | [`directory`] | the answers to "may X do Y in Z?" in memory, always as new as the last commit |
//! | [`store`] | the one SQLite file: the writer, `record`, the last-admin rule, a file per table family |
//! | [`mail`] | letters, templates, the ways they leave |
//! | [`ownership`] | whose files and directories have to be, and who may do what with them |
//! | [`domain`] | the rules, without I/O: addresses, the policy, invitation states, the event layout, tokens, time |
//!
//! Who attacks it, what stops them and what isn't defended stands in [`threats`].
//!
//! Arrows run one way: `cli → api → app → {store, directory, mail} → domain`. The store knows nothing of the directory: it is started with an
//! `on_commit` that [`app::App::open`] wires. `app` never sees a message of the contract; `domain` never waits.
//!
//! # One request, walked through
//!
//! Ann, an Admin of `acme`, moves Bob to Read-Only with `UserManagement.ChangePrivilege`.
//!
//! 1. The acceptor hands the connection to a core, whose guard waits for its first bytes under a deadline ([`server`]). Each request gets a
//!    trace id that its log line and its errors show ([`api::trace`]).
//! 2. `api` extracts the bearer token; [`app::caller`] finds the session in the directory and makes the one [`app::caller::Caller`].
//! 3. [`app::admission`] asks the directory whether Ann has `MANAGE_USERS` in `acme`, and answers a witness without which no operation can be
//!    called. Only then are the other fields parsed: who may not know hears "denied" before "malformed".
//! 4. [`app::members`] gives [`store::Store::write`] a job. The writer takes what waits into one transaction, each job in a savepoint. The
//!    job judges Ann's right again, answers a retry from what was kept, changes the row, and calls [`store::Tx::record`].
//! 5. `record` appends the event to the hash chain and marks the account. Before the savepoint is released, one statement asks whether a
//!    marked account has lost its last active manager; if so, the job is undone and Ann hears `LAST_ADMIN`.
//! 6. COMMIT, with its fsync. Then `on_commit` puts the next view of the directory in place, and only then do the answers go out.
//! 7. A tool that asks `Access.CheckAccess` about Bob from now on gets the new answer, from memory, without waiting for any write.
//!
//! # What always holds
//!
//! - **Answer after commit.** Nobody is told of a change that isn't durable; a refusal may rest on a neighbour's change, so it waits too.
//! - **The last admin.** Judged inside the write, in one place (`store::last_manager`), on the whole of what a job does.
//! - **An answer tells what it did.** Whose permissions a call changed, and how, stands in its answer, and in its rehearsal's before; only where
//!   it may be anybody's, when an account is made, closed or opened, the contract says it once for all (`tests/suite/matrix/effects.rs`).
//! - **Bound to the confirmed address.** An invitation is answered by a signed-in user whose confirmed address is the invited one
//!   ([`app::answers`]); no token proves an address.
//! - **A token is never more than its owner.** What a personal token gives is worked out at each call from what its owner may then
//!   ([`domain::policy::within`]); each that ends is an event of its own, in the write that ended what it stood on.
//! - **One order of callers.** Bearer token, else client certificate, else the uid on the operators' socket, else nobody; never a fall-back
//!   ([`app::caller`]).
//! - **Sign-ups, mails and tries at passwords have limits.** None tells strangers which addresses have a login or who is known where: `tests/outsiders` counts
//!   that too where they are used up. None lets strangers lock a person out of where they are known: it takes who shares their peer. The README
//!   has the table of all limits, with defaults and reasons; `app::limits` counts.
//! - **No peer takes all.** Connections, calls and bytes under way have a share for each peer and a bound for all, and so has memory
//!   ([`server`]); operators' way in is apart.
//! - **What an outsider may not know costs the same**: where there is nothing to be looked for, nobody is looked for; what has no place is
//!   written as ended. `tests/outsiders` counts hashes, statements, rows and bytes of every such call.
//! - **Whoever invites is warned of look-alikes**, at each read by the domains that the account's people have then, which the directory counts.
//! - **History keeps its shape.** The event layout is versioned and settled ([`domain::event`]); personal values stand beside it and can be
//!   erased. It proves itself but for its end and for having been written anew as a whole, which takes a head that was kept elsewhere
//!   ([`domain::head`]); the rows of the present are held against the last events about them (`store::events`).
//! - **Old events go as a beginning, in slices** (`store::events`, `app::retention`): the checkpoint is an event of the chain and nothing else, and the last event about
//!   each thing that is there stays where it is, below it, so that there is no second form of what is kept.
//! - **A page costs the same however much there is.** Lists read along an index for whatever is asked, merging the classes of their entries
//!   (`0004_lists.sql` says how), and look at no more entries than the longest page has ([`app::page::Search`]).
//! - **A client's certificate counts while it is good**: until it expires and while the present authorities vouch for it, looked at in each
//!   connection's own handshake and at each call after, however long the connection stays open ([`tls`]).
//! - **The directory equals the database.** Events change it in commit order, on the writer's thread, before the answers.
//!
//! # Where this differs from its design
//!
//! - An accepted socket is handed to its core *before* the handshake, so that it is registered once, with the reactor that serves it.
//! - A write is judged twice: at the door by the directory, and inside its transaction by the rows, because a right may end while it waits.
//! - A try at a confirmation link is counted before its password is compared, and given back unless it was wrong: tries at once can't be more
//!   than are allowed.
//! - Sessions go by the clock, all else by the later of the clock and history: history never goes back, and a clock that was ahead for a while
//!   must neither prolong a session nor stop its time.
//! - After a fault of the storage the writer opens its connection anew and publishes what became durable after all, since a COMMIT whose
//!   fsync failed may still be found in the file.
//! - Jitter between attempts at a mail is drawn from the whole range above half a minute, not from zero ([`domain::backoff`]): a relay that
//!   greylists would only be asked in vain.
//! - Erasing a person writes the database file anew (`store::erasure`): deleting with `secure_delete` isn't enough, since pages that were split
//!   before may hold copies. It is noted in the database until it is done.
//! - `SendPasswordReset` is the operators' way to help who lost a password: `RequestPasswordReset` is anybody's, and in `Identity` an operator
//!   can't stand in.
//! - Sessions and personal tokens are their owner's to end, but who finds one that leaked is seldom its owner, and taking the login away would be too much:
//!   `RevokeToken` is the operators', and takes the token's text ([`app::tokens`]).
//! - A password that was compared outside the transaction must still be the present one inside it, or a change of password would let a
//!   sign-in of before slip past.
//! - `SetSuperAdmin` is here already: without it nobody could be the super-admin that the policy and the callers know.
//! - TLS sessions are never resumed: a resumed one brings a client's certificate along unseen, past its expiry and a change of the authorities.
//! - A personal token takes a membership, of a super-admin too, and ends with it: one that stood on the mark alone would come back to life with
//!   a later membership ([`app::api_tokens`]). Operators who end somebody's sessions leave their tokens, which end with the password.
//! - What was done by a personal token names it in the session's place of the event, by a code of its own ([`domain::event`]): the layout is
//!   the one that was settled, and its readings in SQL find the user where they were.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod directory;
pub mod domain;
pub mod logging;
pub mod mail;
pub mod metrics;
pub mod ownership;
pub mod serve;
pub mod server;
pub mod store;
pub mod threats;
pub mod tls;

/// The contract: messages, clients and servers generated from `proto/`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto files document it"
)]
pub mod proto {
    tonic::include_proto!("circonus.usermanagement.v1");
    // what holds a password, a token or a link has no text form but its name
    include!(concat!(env!("OUT_DIR"), "/redacted.rs"));

    /// The descriptors of the contract with their comments, for reflection and for clients without generated code.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
