//! `send-test-mail`: one mail by the configured way, without the queue, so that a wrong setting shows itself at once.

use clap::Args;

use super::Failure;
use crate::app::test_mail;
use crate::config::{Config, Flags};
use crate::domain::clock::Clock;
use crate::domain::email::Email;

/// What to send.
#[derive(Clone, Debug, Args)]
pub(super) struct SendTestMail {
    /// Where the mail goes
    #[arg(value_parser = Email::parse)]
    address: Email,
}

impl SendTestMail {
    /// Sends the mail; answers what the relay said. The server may run or not: nothing but the configuration is shared with it.
    pub(super) fn run(&self, flags: &Flags) -> Result<String, Failure> {
        let (config, _) = Config::explain(flags, std::env::vars_os())?;
        // an error means that there is a provider, and it can only be the same
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let reply = runtime.block_on(test_mail::send(&config, &Clock::System, &self.address))?;
        Ok(format!("{}: {reply}\n", self.address.as_typed()))
    }
}
