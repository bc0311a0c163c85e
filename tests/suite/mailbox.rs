//! The mails that a site has written.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use user_management::proto;

use crate::site::Site;

impl Site {
    /// The token of the newest mail to an address, once everything that is owed was sent. Which is newer of two is known if the first was
    /// settled, or looked at, before the second was asked for.
    pub(crate) async fn mailed_token(&self, email: &str) -> String {
        self.mails_settled().await;
        self.mails_to(email).last().and_then(|mail| token_of(mail)).unwrap_or_else(|| panic!("no mail to {email} has a token"))
    }

    /// The mails to an address, oldest first.
    pub(crate) fn mails_to(&self, email: &str) -> Vec<String> {
        // the files of people who were erased are gone
        let mails: Vec<String> = self.mail_files().iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        let header = format!("\r\nto: {}\r\n", email.to_lowercase());
        mails.into_iter().filter(|mail| mail.to_lowercase().contains(&header)).collect()
    }

    /// The files of all mails, oldest first. The clock of a test stands still, so neither names nor queue say which is newer; what came
    /// since the last look is.
    fn mail_files(&self) -> Vec<PathBuf> {
        let mut seen = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new: Vec<PathBuf> = std::fs::read_dir(self.mail_dir())
            .map(|entries| entries.map(|entry| entry.expect("an entry").path()).collect())
            .unwrap_or_default();
        new.retain(|path| path.extension().is_some_and(|extension| extension == "eml") && !seen.contains(path));
        // an erasure may delete a file between the listing and the look at its time
        let mut dated: Vec<_> =
            new.into_iter().filter_map(|path| Some((path.metadata().and_then(|found| found.modified()).ok()?, path))).collect();
        dated.sort();
        seen.extend(dated.into_iter().map(|(_, path)| path));
        seen.clone()
    }

    /// Waits until no mail is due any more.
    pub(crate) async fn mails_settled(&self) {
        let mut operator = self.operator().await;
        let open = vec![proto::DeliveryState::Queued.into(), proto::DeliveryState::Sending.into()];
        for _ in 0..1000 {
            let request = proto::ListMailRequest { states: open.clone(), ..Default::default() };
            let mails = operator.operations.list_mail(request).await.expect("the operator may list mail").into_inner().mails;
            // what a command wrote by the time of the host may be later than a clock that stands still
            let now = self.app().now().as_micros() / 1_000_000;
            let due = |mail: &proto::Mail| {
                mail.state() == proto::DeliveryState::Sending || mail.next_attempt_time.is_some_and(|time| time.seconds <= now)
            };
            if !mails.iter().any(due) {
                self.mail_files();
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("a mail stayed due");
    }
}

/// The token that stands on its own line in the text of a mail.
pub(crate) fn token_of(mail: &str) -> Option<String> {
    let alone = |line: &&str| line.len() == 71 && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    mail.lines().find(alone).map(str::to_owned)
}
