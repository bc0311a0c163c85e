//! Links that are printed instead of being mailed: `--return-link`, for sites without mail.

use clap::Args;

use super::Failure;
use super::calls::Named;
use super::console::Console;
use super::screen::note;
use super::words::time;
use crate::proto::{self, ReturnedLink};

/// How a link reaches the person whom it is for.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct HandOver {
    /// Print the link instead of mailing it, alone on standard output
    #[arg(long)]
    pub(super) return_link: bool,
}

/// An answer that may hold a link.
pub(super) trait Linked: Named {
    /// The id of what the link is for.
    fn of(&self) -> String;
    /// The link, if one was asked for and made.
    fn link(&self) -> Option<&ReturnedLink>;
    /// Whether an answer that never came held it.
    fn is_lost(&self) -> bool;
}

macro_rules! linked {
    ($($answer:ident of $thing:ident),* $(,)?) => {$(
        impl Linked for proto::$answer {
            fn of(&self) -> String {
                self.$thing.as_ref().map(|thing| thing.id.clone()).unwrap_or_default()
            }

            fn link(&self) -> Option<&ReturnedLink> {
                self.link.as_ref()
            }

            fn is_lost(&self) -> bool {
                self.secret_already_shown
            }
        }
    )*};
}

linked! {
    CreateUserResponse of user,
    SendPasswordResetResponse of user,
    InviteUserResponse of invitation,
    ResendInvitationResponse of invitation,
}

/// Prints the link alone, so that it can be piped to who hands it over. Whether there was one; in JSON it stands in its answer.
pub(super) fn handed_over<A: Linked>(console: &mut Console, answer: &A) -> Result<bool, Failure> {
    if answer.is_lost() {
        return Err(Failure::LinkLost(answer.of()));
    }
    let Some(link) = answer.link().filter(|_| !console.screen.json) else { return Ok(false) };
    console.screen.line(&link.url)?;
    console.screen.flush()?;
    let ends = link.expire_time.as_ref().map_or_else(|| "never ends".to_owned(), |end| format!("ends at {}", time(Some(end))));
    note(&format!("the link is for {}, {ends}, and was shown this once", answer.of()));
    Ok(true)
}
