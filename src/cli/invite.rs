//! `invite`: offers of membership.

mod batch;

use std::path::PathBuf;

use clap::Subcommand;

use super::confirm::Confirmation;
use super::console::Console;
use super::link::{HandOver, handed_over};
use super::screen::{self, Column};
use super::words::{DeliveryState, InvitationState, Privilege, Role, Whether, request_id, time, word, words};
use super::{Failure, Paging, Rehearsal, Seen};
use crate::proto::{self, AddressWarning, Invitation};

const SENDING: &str = "\
Examples:
  invite send acme ann@acme.test --privilege admin
  invite send acme --file newcomers.txt --privilege normal --roles alerts,data
  grep -h @ *.list | invite send acme --file - --privilege read-only --dry-run";

/// What is done with invitations.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List an account's invitations, newest first; the unanswered ones, unless states are named; those of a prefix by address
    List {
        /// The account
        account: String,
        /// Only in these states
        #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
        state: Vec<InvitationState>,
        /// Only those whose newest mail is in these states
        #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
        mail: Vec<DeliveryState>,
        /// Only those that are held; with =no only the others
        #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_name = "YES|NO")]
        held: Option<Whether>,
        /// Only those of addresses that begin like this
        #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
        email: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one invitation, with how its mail fares
    Show {
        /// The account
        account: String,
        /// Its id, inv_…
        invitation: String,
    },
    /// Invite an address into an account, or many
    ///
    /// Many are invited a thousand at once, each for itself: what can't be done for one is told at its place in the table, and hinders no other.
    /// A list that can't be read, or names somebody twice, is refused before anybody is invited. With --return-link the table has the links.
    #[command(after_help = SENDING)]
    Send {
        /// The account
        account: String,
        /// The address; only a person who has confirmed it can accept
        #[arg(value_name = "EMAIL", required_unless_present = "file")]
        emails: Vec<String>,
        /// A file with addresses, one a line, or - for standard input; blank lines and those that begin with # don't count
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The column that the person will stand in
        #[arg(long, value_enum)]
        privilege: Privilege,
        /// The roles that the person will hold
        #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<Role>,
        #[command(flatten)]
        hand_over: HandOver,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Change what an unanswered invitation offers; what isn't named stays, and so do link and lifetime
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["privilege", "roles", "no_roles"]))]
    Update {
        /// The account
        account: String,
        /// Its id, inv_…
        invitation: String,
        /// The column that the person will stand in
        #[arg(long, value_enum)]
        privilege: Option<Privilege>,
        /// All roles that the person will hold
        #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE", conflicts_with = "no_roles")]
        roles: Vec<Role>,
        /// Offer no roles
        #[arg(long)]
        no_roles: bool,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Send an invitation again: a new link and a new lifetime; the old link ends
    Resend {
        /// The account
        account: String,
        /// Its id, inv_…
        invitation: String,
        #[command(flatten)]
        hand_over: HandOver,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        rehearsal: Rehearsal,
    },
    /// Take back an unanswered invitation
    Withdraw {
        /// The account
        account: String,
        /// Its id, inv_…
        invitation: String,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

const COLUMNS: &[Column<Invitation>] = &[
    ("INVITATION", |invitation| invitation.id.clone()),
    ("EMAIL", |invitation| invitation.email.clone()),
    ("PRIVILEGE", |invitation| word::<proto::Privilege>(invitation.privilege)),
    ("ROLES", |invitation| words::<proto::Role>(&invitation.roles)),
    ("STATE", state),
    ("MAIL", mail),
    ("EXPIRES", |invitation| time(invitation.expire_time.as_ref())),
];

const MORE: &[Column<Invitation>] = &[
    ("ACCOUNT", |invitation| invitation.account.clone()),
    ("GRANTED BY", |invitation| invitation.granted_by.clone()),
    ("CREATED", |invitation| time(invitation.create_time.as_ref())),
    ("SENT", |invitation| time(invitation.sent_time.as_ref())),
    ("MAILS", |invitation| invitation.send_count.to_string()),
    ("NEXT TRY", |invitation| time(invitation.delivery.as_ref().and_then(|delivery| delivery.next_attempt_time.as_ref()))),
    ("RELAY SAID", |invitation| invitation.delivery.as_ref().map(|delivery| delivery.last_reply.clone()).unwrap_or_default()),
    ("OPENED", |invitation| time(invitation.first_opened_time.as_ref())),
    ("ETAG", |invitation| invitation.etag.clone()),
];

const ALL: &[&[Column<Invitation>]] = &[COLUMNS, MORE];

/// Where it stands, why it is held, and what to look at before its address is trusted.
fn state(invitation: &Invitation) -> String {
    let mut state = vec![word::<proto::InvitationState>(invitation.state)];
    match word::<proto::HeldReason>(invitation.held_reason) {
        held if held.is_empty() => {}
        held => state.push(format!("held: {held}")),
    }
    for warning in &invitation.warnings {
        let alike = if *warning == i32::from(AddressWarning::LooksLike) { &*invitation.looks_like } else { "" };
        state.push(format!("{} {alike}", word::<AddressWarning>(*warning)).trim_end().to_owned());
    }
    state.join(", ")
}

/// Says beside the output what to look at before the address is trusted that was invited just now.
fn warn(invitation: Option<&Invitation>) {
    let Some(Invitation { email, looks_like, warnings, .. }) = invitation else { return };
    if warnings.contains(&AddressWarning::MixedScript.into()) {
        screen::note(&format!("warning: the domain of {email} mixes letters of several scripts"));
    }
    if warnings.contains(&AddressWarning::LooksLike.into()) {
        screen::note(&format!("warning: the domain of {email} isn't {looks_like}, it only looks like it"));
    }
}

fn mail(invitation: &Invitation) -> String {
    invitation.delivery.as_ref().map(|delivery| word::<proto::DeliveryState>(delivery.state)).unwrap_or_default()
}

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        match self {
            Self::List { account, state, mail, held, email, paging } => {
                let request = proto::ListInvitationsRequest {
                    account,
                    states: state.into_iter().map(Into::into).collect(),
                    delivery_states: mail.into_iter().map(Into::into).collect(),
                    held: held.map(Whether::is_yes),
                    email_prefix: email,
                    ..Default::default()
                };
                console.list(request, paging, COLUMNS).await
            }
            Self::Show { account, invitation } => {
                let answer = console.call(proto::GetInvitationRequest { account, invitation }).await?;
                console.show(answer.invitation.as_ref(), ALL)
            }
            Self::Send { account, mut emails, file, privilege, roles, hand_over, rehearsal } => {
                let (privilege, roles) = (privilege.into(), roles.into_iter().map(Into::into).collect());
                let email = if file.is_none() && emails.len() == 1 { emails.pop() } else { None };
                let Some(email) = email else {
                    let invitees = batch::invitees(emails, file.as_deref())?;
                    return batch::Offer { account, privilege, roles, hand_over, rehearsal }.send(console, &invitees).await;
                };
                let request = proto::InviteUserRequest {
                    account,
                    email,
                    privilege,
                    roles,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                    return_link: hand_over.return_link,
                };
                let answer = console.call(request).await?;
                warn(answer.invitation.as_ref());
                if handed_over(console, &answer)? {
                    return Ok(());
                }
                console.changed(&answer, answer.invitation.as_ref(), ALL, &[], rehearsal)
            }
            Self::Update { account, invitation, privilege, roles, no_roles, seen, rehearsal } => {
                let roles = (no_roles || !roles.is_empty()).then(|| roles.into_iter().map(Into::into).collect());
                let offer = Offer { privilege: privilege.map(Into::into), roles };
                let mut request = offer.beside_what_stays(console, account, invitation, seen).await?;
                (request.request_id, request.validate_only) = (request_id(), rehearsal.dry_run);
                let answer = console.call(request).await?;
                console.changed(&answer, answer.invitation.as_ref(), ALL, &[], rehearsal)
            }
            Self::Resend { account, invitation, hand_over, seen, rehearsal } => {
                let request = proto::ResendInvitationRequest {
                    account,
                    invitation,
                    etag: seen.etag,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                    return_link: hand_over.return_link,
                };
                let answer = console.call(request).await?;
                warn(answer.invitation.as_ref());
                if handed_over(console, &answer)? {
                    return Ok(());
                }
                console.changed(&answer, answer.invitation.as_ref(), ALL, &[], rehearsal)
            }
            Self::Withdraw { account, invitation, seen, rehearsal, confirmation } => {
                confirmation.ask(rehearsal.dry_run, &format!("Withdraw the invitation {invitation} into {account}?"))?;
                let request = proto::WithdrawInvitationRequest {
                    account,
                    invitation,
                    etag: seen.etag,
                    request_id: request_id(),
                    validate_only: rehearsal.dry_run,
                };
                let answer = console.call(request).await?;
                console.changed(&answer, answer.invitation.as_ref(), ALL, &[], rehearsal)
            }
        }
    }
}

/// What an invitation is to offer, as far as it was named.
struct Offer {
    privilege: Option<i32>,
    roles: Option<Vec<i32>>,
}

impl Offer {
    /// Asks for the whole offer, as the RPC takes it. What wasn't named is read first, and must not change meanwhile.
    async fn beside_what_stays(
        self,
        console: &Console,
        account: String,
        invitation: String,
        Seen { mut etag }: Seen,
    ) -> Result<proto::UpdateInvitationRequest, Failure> {
        let (privilege, roles) = match self {
            Self { privilege: Some(privilege), roles: Some(roles) } => (privilege, roles),
            Self { privilege, roles } => {
                let request = proto::GetInvitationRequest { account: account.clone(), invitation: invitation.clone() };
                let found = console.call(request).await?.invitation.unwrap_or_default();
                if etag.is_empty() {
                    etag = found.etag;
                }
                (privilege.unwrap_or(found.privilege), roles.unwrap_or(found.roles))
            }
        };
        Ok(proto::UpdateInvitationRequest { account, invitation, privilege, roles, etag, ..Default::default() })
    }
}
