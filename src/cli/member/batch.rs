//! Many members changed by one command: all or none.

use std::path::Path;

use super::change::Change;
use crate::cli::confirm::Confirmation;
use crate::cli::console::Console;
use crate::cli::input::{self, Entry};
use crate::cli::screen::{Column, Table};
use crate::cli::words::{request_id, word, words};
use crate::cli::{Failure, Rehearsal};
use crate::proto::{self, Effect, Member};

/// Changes of a list at most, as the contract has it: more could not be made together.
const MOST: usize = 1000;

/// A change, and where it stands.
pub(super) struct Placed {
    place: String,
    change: Change,
}

/// What became of one member.
struct Made {
    verb: &'static str,
    member: Member,
    effect: Effect,
}

const COLUMNS: &[Column<Made>] = &[
    ("CHANGE", |made| made.verb.to_owned()),
    ("USER", |made| made.member.user.clone()),
    ("EMAIL", |made| made.member.email.clone()),
    ("PRIVILEGE", |made| word::<proto::Privilege>(made.member.privilege)),
    ("ROLES", |made| words::<proto::Role>(&made.member.roles)),
    ("GAINED", |made| words::<proto::Permission>(&made.effect.gained)),
    ("LOST", |made| words::<proto::Permission>(&made.effect.lost)),
];

/// The changes of a list, or all that is wrong with it.
pub(super) fn read(file: &Path) -> Result<Vec<Placed>, Failure> {
    let (mut changes, mut wrong) = (Vec::new(), Vec::new());
    for Entry { place, text } in input::read(file)? {
        match Change::parse(&text) {
            Ok(change) => changes.push(Placed { place, change }),
            Err(what) => wrong.push(format!("{place}: {what}")),
        }
    }
    wrong.extend(input::repeated(changes.iter().map(|placed| (placed.place.as_str(), placed.change.user()))));
    if let Some(Placed { place, .. }) = changes.get(MOST) {
        wrong.push(format!("{place}: is behind the {MOST} changes that can be made together; split the list"));
    }
    if wrong.is_empty() { Ok(changes) } else { Err(Failure::Input(wrong)) }
}

/// Makes the changes, after a yes if somebody is to be removed. A refusal names the line that it is about.
pub(super) async fn change(
    console: &mut Console,
    account: String,
    changes: Vec<Placed>,
    rehearsal: Rehearsal,
    confirmation: Confirmation,
) -> Result<(), Failure> {
    let removals = changes.iter().filter(|placed| matches!(placed.change, Change::Remove(_))).count();
    if removals > 0 {
        let whom = if removals == 1 { "a member".to_owned() } else { format!("{removals} members") };
        confirmation.ask(rehearsal.dry_run, &format!("Remove {whom} from {account}, among {} changes?", changes.len()))?;
    }
    let verbs: Vec<&str> = changes.iter().map(|placed| placed.change.word()).collect();
    let (places, updates) = changes.into_iter().map(|Placed { place, change }| (place, change.into())).unzip();
    let (request_id, validate_only) = (request_id(), rehearsal.dry_run);
    let request = proto::BatchUpdateMembersRequest { account, updates, request_id, validate_only };
    let answer = console.call(request).await.map_err(|failure| failure.within(places))?;
    if console.screen.json {
        console.screen.json(&answer)?;
    } else {
        let of_members = verbs.into_iter().zip(answer.members).zip(answer.effects);
        let made: Vec<Made> = of_members.map(|((verb, member), effect)| Made { verb, member, effect }).collect();
        Table::new(COLUMNS).write(&mut console.screen, &made)?;
    }
    console.screen.flush()?;
    rehearsal.remark();
    Ok(())
}
