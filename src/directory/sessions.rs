//! Sessions in memory.

use std::sync::Arc;
use std::time::Duration;

use super::{Directory, Used, View};
use crate::domain::clock::Timestamp;
use crate::domain::event::SessionState;
use crate::domain::id::{SessionId, UserId};
use crate::domain::token::TokenDigest;

/// How far a clock may be set back without ending the sessions that were begun before; a larger step takes signing in again.
const SKEW: Duration = Duration::from_mins(1);

/// A session, as authentication needs it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// When the password was typed.
    pub authenticated: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    used: Arc<Used>,
}

impl Session {
    pub(super) fn new(state: SessionState, last_used: Timestamp) -> Self {
        Self {
            id: state.session,
            user: state.user,
            authenticated: state.authenticated,
            expires: state.expires,
            used: Used::at(last_used),
        }
    }

    /// Whether it counts at a moment of the clock, where sessions end that are idle for so long.
    #[must_use]
    pub fn counts(&self, now: Timestamp, idle: Duration) -> bool {
        let from_ahead = self.authenticated > now.plus(SKEW);
        !from_ahead && now < self.expires && now < self.last_used().plus(idle)
    }

    /// When it was last used.
    #[must_use]
    pub fn last_used(&self) -> Timestamp {
        self.used.last()
    }

    /// Notes that its use up to a moment was written down.
    pub fn written(&self, at: Timestamp) {
        self.used.written(at);
    }

    /// Notes that it is used now.
    pub fn touch(&self, now: Timestamp) {
        self.used.touch(now);
    }
}

impl View {
    /// The session of a token, ended by time or not.
    #[must_use]
    pub fn session(&self, token: &TokenDigest) -> Option<&Session> {
        self.sessions.get(token)
    }

    /// A user's sessions after an id, ended by time or not, in the order in which they were begun.
    pub fn sessions_of(&self, user: UserId, after: SessionId) -> impl Iterator<Item = &Session> {
        let last = SessionId::from_bytes([0xff; 16]);
        let tokens = self.sessions_of.range((user, after)..=(user, last)).filter(move |((_, id), _)| *id > after);
        tokens.filter_map(|(_, token)| self.sessions.get(token))
    }

    pub(super) fn insert_session(&mut self, state: SessionState, last_used: Timestamp) {
        self.sessions.insert(state.token, Session::new(state, last_used));
        self.sessions_of.insert((state.user, state.session), state.token);
    }

    /// Ends a user's sessions but one.
    pub(super) fn end_sessions(&mut self, user: UserId, kept: Option<SessionId>) {
        let (first, last) = (SessionId::from_bytes([0; 16]), SessionId::from_bytes([0xff; 16]));
        let all = self.sessions_of.range((user, first)..=(user, last));
        let ended: Vec<_> = all.filter(|((_, session), _)| Some(*session) != kept).map(|(key, token)| (*key, *token)).collect();
        for (key, token) in ended {
            self.sessions_of.remove(&key);
            self.sessions.remove(&token);
        }
    }
}

impl Directory {
    /// The sessions that were used since that was last written down, with when.
    #[must_use]
    pub fn used(&self) -> Vec<(Session, Timestamp)> {
        let view = self.snapshot();
        view.sessions.values().filter_map(|session| Some((session.clone(), session.used.unwritten()?))).collect()
    }

    /// Forgets sessions that ended by time, which no event says. Only the writer's thread may call it.
    pub fn forget_sessions(&self, expired: impl Fn(&Session) -> bool) {
        let present = self.present.load();
        let gone = present.sessions.iter().filter(|(_, session)| expired(session));
        let gone: Vec<_> = gone.map(|(token, session)| (*token, (session.user, session.id))).collect();
        if gone.is_empty() {
            return;
        }
        let mut next = View::clone(&present);
        for (token, key) in &gone {
            next.sessions.remove(token);
            next.sessions_of.remove(key);
        }
        self.present.store(Arc::new(next));
    }
}
