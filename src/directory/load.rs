//! Filling the directory when the service starts.

use arc_swap::ArcSwap;
use imbl::OrdMap;
use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{ServiceState, SessionState};
use crate::domain::id::{AccountId, ApiTokenId, InvitationId, ServiceId, SessionId, UserId};
use crate::domain::policy::Standing;
use crate::domain::privilege::Privilege;
use crate::domain::role::RoleSet;
use crate::domain::scope::ScopeSet;
use crate::domain::token::TokenDigest;
use crate::store::server::Recorded;

use super::{ApiToken, Directory, Domains, User, View};

/// Characters of one member in an account's aggregated row: the id in hexadecimal, the privilege, the roles.
const MEMBER: usize = 32 + 1 + 2;

impl Directory {
    /// Reads everything that checks need, members in one row for each account: a statement's row costs more than its content.
    pub async fn load(connection: &mut SqliteConnection, recorded: Recorded) -> Result<Self, Error> {
        let last = sqlx::query!(r#"select seq, time as "time: Timestamp" from events order by seq desc limit 1"#)
            .fetch_optional(&mut *connection)
            .await?;
        let (seq, time) = last.map_or((0, Timestamp::from_micros(i64::MIN)), |last| (last.seq, last.time));
        let mut view = View {
            epoch: recorded.epoch,
            seq: u64::try_from(seq).map_err(Error::internal)?,
            time,
            edition: recorded.edition,
            accounts: OrdMap::new(),
            open_accounts: 0,
            names: OrdMap::new(),
            users: OrdMap::new(),
            addresses: OrdMap::new(),
            members: OrdMap::new(),
            sessions: OrdMap::new(),
            sessions_of: OrdMap::new(),
            services: OrdMap::new(),
            tokens: OrdMap::new(),
            certificates: OrdMap::new(),
            api_tokens: OrdMap::new(),
            domains: Domains::default(),
        };
        view.load_accounts(connection).await?;
        view.load_users(connection).await?;
        view.load_sessions(connection).await?;
        view.load_services(connection).await?;
        view.load_api_tokens(connection).await?;
        view.load_domains(connection).await?;
        Ok(Self { present: ArcSwap::from_pointee(view) })
    }
}

impl View {
    async fn load_accounts(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let rows = sqlx::query!(
            r#"select a.id as "id: AccountId", a.name, a.closed as "closed: bool",
                      (select group_concat(hex(m.user) || m.privilege || printf('%02d', m.roles), '')
                         from members m where m.account = a.id) as "members: String"
                 from accounts a /* reads all: start-up */"#
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            self.insert_account(row.id, row.name.into(), row.closed);
            let members = row.members.unwrap_or_default();
            for member in members.as_bytes().chunks(MEMBER) {
                let (user, standing) = parse(member).ok_or_else(|| Error::internal("a member can't be read"))?;
                self.members.insert((row.id, user), standing);
            }
        }
        Ok(())
    }

    async fn load_users(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let rows = sqlx::query!(
            r#"select u.id as "id: UserId", a.folded, u.active as "active: bool", u.super_admin as "super_admin: bool"
                 from users u cross join addresses a on a.id = u.address where u.deleted = 0 /* reads all: start-up */"#
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            let folded: std::sync::Arc<str> = row.folded.into();
            self.addresses.insert(std::sync::Arc::clone(&folded), row.id);
            self.users.insert(row.id, User { folded, active: row.active, super_admin: row.super_admin });
        }
        Ok(())
    }

    async fn load_sessions(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let rows = sqlx::query!(
            r#"select id as "session: SessionId", user as "user: UserId", token as "token: TokenDigest",
                      authenticated as "authenticated: Timestamp", last_used as "last_used: Timestamp", expires as "expires: Timestamp"
                 from sessions where ended is null /* reads all: start-up */"#
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            let state = SessionState {
                session: row.session,
                user: row.user,
                token: row.token,
                authenticated: row.authenticated,
                expires: row.expires,
            };
            self.insert_session(state, row.last_used);
        }
        Ok(())
    }

    async fn load_services(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let rows = sqlx::query!(
            r#"select id as "service: ServiceId", name, scopes as "scopes: ScopeSet", account as "account: AccountId",
                      token as "token: TokenDigest", certificate, expires as "expires: Timestamp"
                 from services where revoked = 0 /* reads all: start-up */"#
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            self.insert_service(&ServiceState {
                service: row.service,
                name: row.name,
                scopes: row.scopes,
                account: row.account,
                token: row.token,
                certificate: row.certificate,
                expires: row.expires,
                revoked: false,
            });
        }
        Ok(())
    }

    async fn load_api_tokens(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let rows = sqlx::query!(
            r#"select id as "id: ApiTokenId", user as "user: UserId", account as "account: AccountId", token as "token: TokenDigest",
                      privilege as "privilege: Privilege", roles as "roles: RoleSet", last_used as "last_used: Timestamp",
                      expires as "expires: Timestamp"
                 from api_tokens where ended is null /* reads all: start-up */"#
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            let cap = row.privilege.zip(row.roles).map(|(privilege, roles)| Standing { privilege, roles });
            let token = ApiToken::new((row.id, row.user, row.account), cap, row.expires, row.last_used);
            self.api_tokens.insert(row.token, token);
        }
        Ok(())
    }

    /// Once members and users are there.
    async fn load_domains(&mut self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let rows = sqlx::query!(
            r#"select id as "id: InvitationId", account as "account: AccountId", folded from invitations where state = 1 /* reads all: start-up */"#
        )
        .fetch_all(connection)
        .await?;
        let members = self.members.keys().filter_map(|(account, user)| Some((*account, &*self.users.get(user)?.folded)));
        let invitations = rows.iter().filter_map(|row| Some((row.id, row.account, row.folded.as_deref()?)));
        self.domains = Domains::of(members, invitations);
        Ok(())
    }
}

fn parse(member: &[u8]) -> Option<(UserId, Standing)> {
    let text = std::str::from_utf8(member).ok()?;
    let (id, standing) = text.split_at_checked(32)?;
    let (privilege, roles) = standing.split_at_checked(1)?;
    let user = UserId::from_bytes(u128::from_str_radix(id, 16).ok()?.to_be_bytes());
    let standing =
        Standing { privilege: Privilege::from_code(privilege.parse().ok()?)?, roles: RoleSet::from_bits(roles.parse().ok()?)? };
    Some((user, standing))
}
