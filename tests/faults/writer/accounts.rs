//! Accounts: made, renamed, closed and opened again.

use user_management::proto::{self, EventKind};

use super::{ACCOUNTS, Writer};
use crate::ask::ask;
use crate::model::Account;

impl Writer {
    pub(super) async fn create_account(&mut self) {
        let taken = if self.dice.once_in(8) { self.account(false) } else { None };
        if taken.is_none() && self.region.accounts.len() >= ACCOUNTS {
            return;
        }
        let must = if taken.is_some() { Err("ACCOUNT_EXISTS") } else { Ok(()) };
        let name = taken.unwrap_or_else(|| self.fresh("account"));
        let title = self.fresh("Title");
        let request = proto::CreateAccountRequest {
            name: name.clone(),
            display_name: title.clone(),
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &self.operator, users.create_account, request.clone());
        if self.hold(&request, asked, must).is_some() {
            self.region.history.expect(&name, EventKind::AccountCreated, "");
            self.region.accounts.insert(name, Account { title, ..Default::default() });
        }
    }

    pub(super) async fn update_account(&mut self) {
        let Some(account) = self.account(true) else { return };
        let doer = self.manager(&account);
        let title = self.fresh("Title");
        let request = proto::UpdateAccountRequest {
            account: account.clone(),
            display_name: Some(title.clone()),
            request_id: self.request_id(0),
            ..Default::default()
        };
        let asked = ask!(&self.tally, &doer.client, users.update_account, request.clone());
        let answer = self.hold(&request, asked, Ok(())).and_then(|answer| answer.account).expect("an account");
        assert_eq!(answer.display_name, title);
        self.account_mut(&account).title = title;
        self.region.history.expect(&account, EventKind::AccountUpdated, "");
    }

    /// Closed ones are opened again more often than open ones are closed.
    pub(super) async fn close_or_reopen_account(&mut self) {
        let closed = self.region.accounts.iter().filter(|(_, account)| account.closed).map(|(name, _)| name.clone());
        let Some(account) = self.dice.pick(closed.collect::<Vec<_>>()).or_else(|| self.account(true)) else { return };
        let (closed, request_id) = (self.region.accounts[&account].closed, self.request_id(0));
        if closed {
            let request = proto::ReopenAccountRequest { account: account.clone(), request_id, ..Default::default() };
            let asked = ask!(&self.tally, &self.operator, users.reopen_account, request.clone());
            self.hold(&request, asked, Ok(()));
            self.region.history.expect(&account, EventKind::AccountReopened, "");
        } else {
            let request = proto::CloseAccountRequest { account: account.clone(), request_id, ..Default::default() };
            let asked = ask!(&self.tally, &self.operator, users.close_account, request.clone());
            self.hold(&request, asked, Ok(()));
            self.region.history.expect(&account, EventKind::AccountClosed, "");
        }
        self.account_mut(&account).closed = !closed;
    }
}
