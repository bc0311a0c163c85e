//! What is done by the clock: writing down when sessions and tokens were used, finishing what was cut short, telling what expires soon,
//! and forgetting what nobody can use any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{App, server_origin};
use crate::domain::error::{Error, chain};
use crate::domain::event::Change;
use crate::store::{Tx, api_tokens, devices, erasure, login_links, mails, requests, services, sessions, sign_ups, spending};

/// How often the use of sessions is written down, and what else is due looked for: what a crash can forget of an idle time.
const MINUTE: Duration = Duration::from_mins(1);

/// Answered mutations are kept this long for their retries.
const KEEP_REQUESTS: Duration = Duration::from_hours(24);

/// What ended by time is kept this long, for those who ask why.
const KEEP_ENDED: Duration = Duration::from_hours(24);

/// Personal tokens are listed this long after they expired, for owners who ask why a program of theirs doesn't work any more.
const KEEP_EXPIRED: Duration = Duration::from_hours(30 * 24);

/// How long before a service or personal token expires that is told.
pub(super) const TOLD_BEFORE: Duration = Duration::from_hours(14 * 24);

/// How many of each are told of in one write.
const TOLD_AT_ONCE: i64 = 1000;

/// Mails that followed sign-ups are kept this long, for operators who look into a delivery.
const KEEP_MAILS: Duration = Duration::from_hours(7 * 24);

impl App {
    /// Keeps house until told to stop.
    pub async fn keep_house(self: Arc<Self>, stop: CancellationToken) {
        self.tell_head_by_clock().await;
        let mut minute = 0;
        while stop.run_until_cancelled(tokio::time::sleep(MINUTE)).await.is_some() {
            self.keep_house_in(minute).await;
            minute += 1;
        }
    }

    /// Does what is due in one of the minutes since the start, which are counted from 0.
    pub async fn keep_house_in(&self, minute: u64) {
        self.tell_head_by_clock().await;
        self.flush_sessions().await;
        if let Err(error) = self.finish_rotation().await {
            warn!(error = %chain(&error), "a rotation of the link key couldn't be finished; it is tried again");
        }
        if minute.is_multiple_of(5) {
            self.flush_api_tokens().await;
        }
        if minute.is_multiple_of(60) {
            self.tell_expiring().await;
            self.purge().await;
            self.erase_mail_files().await;
        }
    }

    async fn tell_head_by_clock(&self) {
        if let Err(error) = self.tell_head_when_due().await {
            warn!(error = %chain(&error), "the head of history can't be told");
        }
    }

    /// Writes down when sessions were last used.
    pub(super) async fn flush_sessions(&self) {
        let used = self.directory.used();
        if used.is_empty() {
            return;
        }
        let rows: Vec<_> = used.iter().map(|(session, at)| (session.id, *at)).collect();
        match self.store.write(server_origin(), async move |tx| sessions::touch(tx, &rows).await).await {
            Ok(()) => used.iter().for_each(|(session, at)| session.written(*at)),
            Err(error) => warn!(%error, "the use of sessions couldn't be written down; it is tried again"),
        }
    }

    /// Writes down when personal tokens were last used.
    pub(super) async fn flush_api_tokens(&self) {
        let used = self.directory.used_api_tokens();
        if used.is_empty() {
            return;
        }
        let rows: Vec<_> = used.iter().map(|(token, at)| (token.id, *at)).collect();
        match self.store.write(server_origin(), async move |tx| api_tokens::touch(tx, &rows).await).await {
            Ok(()) => used.iter().for_each(|(token, at)| token.written(*at)),
            Err(error) => warn!(%error, "the use of personal tokens couldn't be written down; it is tried again"),
        }
    }

    /// Records of each service and personal token that it expires soon: once, though the service is restarted in between.
    pub async fn tell_expiring(&self) {
        loop {
            let told = self.store.write(server_origin(), async move |tx| tell_some(tx).await).await;
            match told {
                Ok(told) if told < TOLD_AT_ONCE => return,
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "what expires soon couldn't be recorded; it is tried again");
                    return;
                }
            }
        }
    }

    /// Deletes the files of mails to people who were erased. What can't be deleted now is tried again.
    pub async fn erase_mail_files(&self) {
        let erased = async {
            let mails = erasure::mails(&mut *self.store.read().await?).await?;
            if mails.is_empty() {
                return Ok(());
            }
            for mail in &mails {
                self.transport.erase(&self.message_id(*mail)).map_err(|error| Error::internal(error.to_string()))?;
            }
            self.store.write(server_origin(), async move |tx| erasure::mails_erased(tx, &mails).await).await
        };
        if let Err(error) = erased.await {
            warn!(error = %chain(&error), "files of erased people's mails couldn't be deleted yet");
        }
    }

    /// Forgets what ended by time.
    pub async fn purge(&self) {
        let (directory, known) = (Arc::clone(&self.directory), self.limits.config.known_device);
        let purged = self
            .store
            .write(server_origin(), async move |tx| {
                let now = tx.now();
                let ended = now.minus(KEEP_ENDED);
                directory.forget_sessions(|session| session.expires < ended);
                directory.forget_api_tokens(now.minus(KEEP_EXPIRED));
                let api_tokens = api_tokens::purge(tx, now.minus(KEEP_EXPIRED)).await?;
                let sessions = sessions::purge(tx, ended).await? + api_tokens;
                devices::purge(tx, now.minus(known)).await?;
                spending::purge(tx).await?;
                let sign_ups = sign_ups::purge(tx, ended).await? + login_links::purge(tx, ended).await?;
                if erasure::is_pending(tx.sql()).await? {
                    tx.scrub_after_commit();
                }
                let mails = mails::purge(tx, now.minus(KEEP_MAILS)).await?;
                Ok((sessions, sign_ups, mails, requests::purge(tx, now.minus(KEEP_REQUESTS)).await?))
            })
            .await;
        match purged {
            Ok((sessions, sign_ups, mails, requests)) => debug!(sessions, sign_ups, mails, requests, "forgot what ended by time"),
            Err(error) => warn!(%error, "what ended by time couldn't be forgotten"),
        }
    }
}

/// Records some of what expires soon; answers how many of the more numerous kind.
async fn tell_some(tx: &mut Tx) -> Result<i64, Error> {
    let (now, until) = (tx.now(), tx.now().plus(TOLD_BEFORE));
    let services = services::tell_expiring(tx, now, until, TOLD_AT_ONCE).await?;
    let tokens = api_tokens::tell_expiring(tx, now, until, TOLD_AT_ONCE).await?;
    let mut changes: Vec<_> = services.iter().map(|service| Change::ServiceExpiring(service.state())).collect();
    for token in &tokens {
        changes.push(Change::ApiTokenExpiring(token.state(tx)?));
    }
    if !changes.is_empty() {
        tx.record_all(changes).await?;
    }
    Ok(i64::try_from(services.len().max(tokens.len())).unwrap_or(i64::MAX))
}
