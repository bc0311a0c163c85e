//! Ids, and what events say of who did something and what it was about.

use std::fmt::Display;
use std::str::FromStr;

use user_management::domain::event::{Actor, Subject};
use user_management::domain::id;
use user_management::domain::scope::Scope;

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = &*String::from_utf8_lossy(bytes);
    let ids = [
        is::<id::AccountId>(text),
        is::<id::Epoch>(text),
        is::<id::EventId>(text),
        is::<id::InvitationId>(text),
        is::<id::LoginLinkId>(text),
        is::<id::ApiTokenId>(text),
        is::<id::MailId>(text),
        is::<id::ServiceId>(text),
        is::<id::SessionId>(text),
        is::<id::TraceId>(text),
        is::<id::UserId>(text),
    ];
    assert!(ids.into_iter().filter(|is| *is).count() <= 1, "{text} is of one kind");
    let actor = Actor::parse(text).map(|actor| actor.to_string());
    let subject = Subject::parse(text).map(|subject| subject.to_string());
    let scope = Scope::parse(text).map(|scope| scope.as_str().to_owned());
    let others = [actor, subject, scope];
    for printed in others.iter().flatten() {
        assert_eq!(printed, text, "what is taken is written one way");
    }
    ids.contains(&true) || others.iter().any(Option::is_some)
}

fn is<T: FromStr<Err: Display> + Display>(text: &str) -> bool {
    match text.parse::<T>() {
        Ok(id) => {
            assert_eq!(id.to_string(), text, "what is taken is written one way");
            true
        }
        Err(error) => {
            assert!(text.len() < 8 || !error.to_string().contains(text), "{error} tells what was sent");
            false
        }
    }
}
