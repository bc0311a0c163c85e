//! Many addresses invited by one command: what became of each, in the order in which they were given.

use std::path::Path;

use crate::cli::console::Console;
use crate::cli::failure::Progress;
use crate::cli::input::{self, Entry};
use crate::cli::link::HandOver;
use crate::cli::screen::{self, Column, Table};
use crate::cli::words::{request_id, time};
use crate::cli::{Failure, Rehearsal, refusal};
use crate::proto::invite_result::Outcome;
use crate::proto::{self, Invitation, InviteResult};

/// Addresses of a call at most, as the contract has it. More take more calls.
const MOST: usize = 1000;

/// What is offered to all.
pub(super) struct Offer {
    pub(super) account: String,
    pub(super) privilege: i32,
    pub(super) roles: Vec<i32>,
    pub(super) hand_over: HandOver,
    pub(super) rehearsal: Rehearsal,
}

/// An address as it was given, and what became of it.
struct Sent {
    email: String,
    result: InviteResult,
}

const COLUMNS: &[Column<Sent>] = &[EMAIL, INVITATION, EXPIRES, RESULT];
const WITH_LINKS: &[Column<Sent>] = &[EMAIL, INVITATION, EXPIRES, LINK, RESULT];

const EMAIL: Column<Sent> = ("EMAIL", |sent| sent.email.clone());
const INVITATION: Column<Sent> = ("INVITATION", |sent| sent.invitation().map(|made| made.id.clone()).unwrap_or_default());
const EXPIRES: Column<Sent> = ("EXPIRES", |sent| time(sent.invitation().and_then(|made| made.expire_time.as_ref())));
const LINK: Column<Sent> = ("LINK", |sent| sent.result.link.as_ref().map(|link| link.url.clone()).unwrap_or_default());
const RESULT: Column<Sent> = ("RESULT", |sent| match &sent.result.outcome {
    Some(Outcome::Invitation(invitation)) => super::state(invitation),
    Some(Outcome::Error(error)) => refusal::line(error),
    None => String::new(),
});

impl Sent {
    fn invitation(&self) -> Option<&Invitation> {
        match &self.result.outcome {
            Some(Outcome::Invitation(invitation)) => Some(invitation),
            Some(Outcome::Error(_)) | None => None,
        }
    }
}

/// The addresses of the command line, then those of the list, nobody twice.
pub(super) fn invitees(emails: Vec<String>, file: Option<&Path>) -> Result<Vec<Entry>, Failure> {
    let place = |(text, number)| Entry { place: format!("argument {number}"), text };
    let mut invitees: Vec<Entry> = emails.into_iter().zip(1_usize..).map(place).collect();
    if let Some(file) = file {
        invitees.extend(input::read(file)?);
    }
    let repeated = input::repeated(invitees.iter().map(|entry| (entry.place.as_str(), entry.text.as_str())));
    if repeated.is_empty() { Ok(invitees) } else { Err(Failure::Input(repeated)) }
}

impl Offer {
    /// Makes the offer to all, call by call; each call's results are shown before the next. Ends at the first call that fails, and says how far
    /// it came.
    pub(super) async fn send(self, console: &mut Console, invitees: &[Entry]) -> Result<(), Failure> {
        let mut table = Table::new(if self.hand_over.return_link { WITH_LINKS } else { COLUMNS });
        let mut progress = Progress { all: invitees.len(), known: 0, refused: 0 };
        for some in invitees.chunks(MOST) {
            let answer = match console.call(self.request(some)).await {
                Err(failure) if progress.known > 0 => return Err(Failure::Partly(progress, Some(Box::new(failure)))),
                outcome => outcome?,
            };
            let sent = |(entry, result): (&Entry, InviteResult)| Sent { email: entry.text.clone(), result };
            let sent: Vec<Sent> = some.iter().zip(answer.results).map(sent).collect();
            progress.known += sent.len();
            progress.refused += sent.iter().filter(|sent| sent.invitation().is_none()).count();
            let mut shown = show(console, &mut table, &sent);
            if answer.secret_already_shown {
                shown = shown.and(Err(Failure::LinkLost(format!("each of the last {}", sent.len()))));
            }
            match shown {
                // nothing is left to do or to say
                Err(failure) if progress.known == progress.all && progress.refused == 0 => return Err(failure),
                Err(failure) => return Err(Failure::Partly(progress, Some(Box::new(failure)))),
                Ok(()) => {}
            }
        }
        self.rehearsal.remark();
        if progress.refused > 0 || progress.known < progress.all { Err(Failure::Partly(progress, None)) } else { Ok(()) }
    }

    fn request(&self, some: &[Entry]) -> proto::BatchInviteUsersRequest {
        let (privilege, roles) = (self.privilege, &self.roles);
        let invitee = |entry: &Entry| proto::Invitee { email: entry.text.clone(), privilege, roles: roles.clone() };
        proto::BatchInviteUsersRequest {
            account: self.account.clone(),
            invitees: some.iter().map(invitee).collect(),
            return_link: self.hand_over.return_link,
            request_id: request_id(),
            validate_only: self.rehearsal.dry_run,
        }
    }
}

fn show(console: &mut Console, table: &mut Table<Sent>, sent: &[Sent]) -> Result<(), Failure> {
    if console.screen.json {
        for Sent { email, result } in sent {
            let mut object = screen::value(result)?;
            if let Some(fields) = object.as_object_mut() {
                fields.insert("email".to_owned(), email.as_str().into());
            }
            console.screen.line(&object.to_string())?;
        }
    } else {
        table.write(&mut console.screen, sent)?;
    }
    console.screen.flush()
}
