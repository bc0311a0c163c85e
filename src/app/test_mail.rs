//! A mail to try out how mail is configured, beside the queue and without the data.

use super::{StartError, renderer, transport};
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::id::MailId;
use crate::mail::{Letter, RenderError, SendFault};
use crate::store;

/// Why a test mail didn't go.
#[derive(Debug, thiserror::Error)]
pub enum TestMailError {
    /// Mail can't be rendered or sent as configured.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No Message-ID can be drawn.
    #[error("the mail can't be given an id")]
    Id(#[from] Error),
    /// The mail can't be put together.
    #[error("the mail can't be written")]
    Render(#[from] RenderError),
    /// It wasn't taken; the cause says whose fault that is.
    #[error("the mail wasn't taken")]
    Send(#[from] SendFault),
}

/// Sends a test mail by the configured way; answers what the relay said.
pub async fn send(config: &Config, clock: &Clock, to: &Email) -> Result<String, TestMailError> {
    let (renderer, transport) = (renderer(config)?, transport(config)?);
    let now = clock.now();
    let message_id = format!("{}@{}", MailId::new(now, store::random()?), renderer.domain());
    Ok(transport.send(&renderer.render(&Letter::Test { at: now }, to, &message_id, now)?).await?)
}
