//! One event of every kind, made of given ingredients: fixed ones for the reviewed bytes, arbitrary ones for properties.

use user_management::domain::clock::Timestamp;
use user_management::domain::edition::Edition;
use user_management::domain::event::{
    AccountState, Actor, ApiTokenState, Change, DataState, Door, EmailChangeState, ErasedState, Event, Grantor, InvitationState,
    LinkKeyState, LoginLinkState, LoginState, MailState, MemberState, Personal, ServiceState, SessionState, TrimState, UserState,
};
use user_management::domain::id::{
    AccountId, AddressId, ApiTokenId, Epoch, EventId, InvitationId, LoginLinkId, MailId, ServiceId, SessionId, TraceId, UserId,
};
use user_management::domain::invitation::Stored;
use user_management::domain::login::LinkPurpose;
use user_management::domain::policy::Standing;
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;
use user_management::domain::scope::ScopeSet;
use user_management::domain::token::TokenDigest;

/// What events are made of.
#[derive(Clone, Debug)]
pub(super) struct Ingredients {
    /// The ids: the first byte of each is set to tell what it is of, so that exchanged ones are seen.
    pub(super) id: [u8; 16],
    pub(super) digest: [u8; 32],
    pub(super) salt: [u8; 16],
    pub(super) text: String,
    pub(super) time: i64,
    pub(super) number: u32,
    /// Chooses among few: states, columns, roles, scopes, the actor.
    pub(super) choice: u8,
    /// What can be absent is there.
    pub(super) full: bool,
}

impl Ingredients {
    /// Those of the reviewed file.
    pub(super) fn fixed() -> Self {
        Self {
            id: std::array::from_fn(|position| u8::try_from(position).expect("16 positions")),
            digest: std::array::from_fn(|position| 0xc0 + u8::try_from(position).expect("32 positions")),
            salt: [0x5a; 16],
            text: "Zoë".to_owned(),
            time: 1_800_000_000_123_456,
            number: 7,
            choice: 1,
            full: true,
        }
    }

    fn id(&self, of: u8) -> [u8; 16] {
        let mut bytes = self.id;
        bytes[0] = of;
        bytes
    }

    fn optional<T>(&self, value: T) -> Option<T> {
        self.full.then_some(value)
    }

    fn moment(&self, later_by: i64) -> Timestamp {
        Timestamp::from_micros(self.time.wrapping_add(later_by))
    }

    fn user(&self) -> UserId {
        UserId::from_bytes(self.id(0xa1))
    }

    fn account(&self) -> AccountId {
        AccountId::from_bytes(self.id(0xa2))
    }

    fn service(&self) -> ServiceId {
        ServiceId::from_bytes(self.id(0xa3))
    }

    fn invitation(&self) -> InvitationId {
        InvitationId::from_bytes(self.id(0xa4))
    }

    fn address(&self) -> AddressId {
        AddressId::from_bytes(self.id(0xa5))
    }

    fn personal(&self, what: &str) -> Personal {
        Personal::new(&format!("{what} {}", self.text), self.salt)
    }

    fn standing(&self) -> Standing {
        let [admin, normal, read_only] = Privilege::ALL;
        let privilege = match self.choice % 3 {
            0 => admin,
            1 => normal,
            _ => read_only,
        };
        Standing { privilege, roles: RoleSet::from_bits(i64::from(self.choice / 3 % 16)).expect("four bits are four roles") }
    }

    fn door(&self) -> Door {
        match self.choice % 4 {
            0 => Door::Inside,
            1 => Door::Tcp,
            2 => Door::OperatorsSocket,
            _ => Door::ToolsSocket,
        }
    }

    fn actor(&self) -> Actor {
        match self.choice % 5 {
            0 => Actor::Server,
            1 => Actor::Operator(self.number),
            2 => Actor::Anonymous,
            3 => Actor::User {
                user: self.user(),
                session: self.optional(SessionId::from_bytes(self.id(0xa8))),
                as_operator: self.choice & 4 != 0,
            },
            _ => Actor::Service(self.service()),
        }
    }
}

/// A change of every kind.
pub(super) fn changes(of: &Ingredients) -> Vec<Change> {
    let edition = if of.choice.is_multiple_of(2) { Edition::Inside } else { Edition::Saas };
    let (account, invitation, member) = (account(of), invitation(of), member(of));
    let (user, session, service) = (user(of), session(of), service(of));
    let mail =
        MailState { mail: MailId::from_bytes(of.id(0xaa)), invitation: of.optional(InvitationId::from_bytes(of.id(0xa4))) };
    vec![
        Change::EditionSet(DataState { epoch: Epoch::from_bytes(of.id(0xa9)), edition }),
        Change::AccountCreated(account.clone()),
        Change::AccountUpdated(account),
        Change::InvitationCreated(invitation.clone()),
        Change::InvitationRenewed(invitation.clone()),
        Change::InvitationResent(invitation.clone()),
        Change::InvitationWithdrawn(invitation.clone()),
        Change::InvitationAccepted(invitation.clone()),
        Change::InvitationIgnored(invitation),
        Change::MemberJoined(member),
        Change::MemberPrivilegeChanged(member),
        Change::MemberRolesAssigned(member),
        Change::MemberRemoved(member),
        Change::MemberLeft(member),
        Change::UserCreated(user.clone()),
        Change::SuperAdminGranted(user.clone()),
        Change::SuperAdminRevoked(user),
        Change::SessionStarted(session),
        Change::SessionEnded(session),
        Change::ServiceCreated(service.clone()),
        Change::ServiceRevoked(service),
        Change::MailRetried(mail),
    ]
    .into_iter()
    .chain(later_changes(of))
    .collect()
}

/// Those that came after the first were reviewed, whose bytes name their place.
fn later_changes(of: &Ingredients) -> Vec<Change> {
    let (account, invitation, user) = (account(of), invitation(of), user(of));
    let kept = of.optional(SessionId::from_bytes(of.id(0xa8)));
    let former = AddressId::from_bytes(of.id(0xab));
    let login = LoginState { user: of.user(), kept };
    let purposes = [LinkPurpose::ResetPassword, LinkPurpose::SetPassword, LinkPurpose::ChangeEmail];
    let link = LoginLinkState {
        link: LoginLinkId::from_bytes(of.id(0xac)),
        user: of.user(),
        purpose: purposes.into_iter().find(|purpose| purpose.code() == of.choice % 3 + 1).expect("three purposes"),
        email: of.optional(of.personal("new")),
        expires: of.moment(6),
        returned: of.choice & 128 != 0,
    };
    let (service, api_token) = (service(of), api_token(of));
    vec![
        Change::AccountClosed(account.clone()),
        Change::AccountReopened(account.clone()),
        Change::AccountLeftWithoutAdmin(account),
        Change::InvitationUpdated(invitation.clone()),
        Change::InvitationLinkReturned(invitation),
        Change::UserUpdated(user.clone()),
        Change::UserEmailChanged(EmailChangeState { user: user.clone(), former, kept }),
        Change::UserPasswordChanged(login),
        Change::UserPasswordReset(login),
        Change::UserDeactivated(user.clone()),
        Change::UserReactivated(user),
        Change::UserDeleted(ErasedState { user: of.user(), address: of.address() }),
        Change::SessionsRevoked(login),
        Change::LoginLinkMade(link),
        Change::ServiceExpiring(service),
        Change::ApiTokenCreated(api_token.clone()),
        Change::ApiTokenEnded(api_token.clone()),
        Change::ApiTokenExpiring(api_token),
        Change::LinkKeyRotated(LinkKeyState { number: 2, former_until: of.optional(of.moment(7)) }),
        Change::HistoryTrimmed(TrimState {
            until: 7,
            hash: of.digest,
            time: of.moment(8),
            dropped: 5,
            kept: 2,
            kept_digest: of.digest.map(|byte| !byte),
        }),
    ]
}

/// An event of every kind.
pub(super) fn events(of: &Ingredients) -> Vec<Event> {
    let event = |(change, seq): (Change, u64)| Event {
        seq,
        id: EventId::from_bytes(of.id(0xa6)),
        time: of.moment(0),
        actor: of.actor(),
        on_behalf_of: of.optional(of.user()),
        client: of.optional(of.personal("client")),
        door: of.door(),
        trace: TraceId::from_bytes(of.id(0xa7)),
        change,
        previous: of.digest,
    };
    changes(of).into_iter().zip(u64::from(of.number)..).map(event).collect()
}

fn account(of: &Ingredients) -> AccountState {
    let text = |what| format!("{what} {}", of.text);
    AccountState {
        account: of.account(),
        name: text("name"),
        display_name: text("display"),
        timezone: text("zone"),
        closed: of.choice & 8 != 0,
    }
}

fn invitation(of: &Ingredients) -> InvitationState {
    let states = [Stored::Pending, Stored::Accepted, Stored::Ignored, Stored::Withdrawn];
    InvitationState {
        invitation: of.invitation(),
        account: of.account(),
        address: of.address(),
        email: of.personal("email"),
        standing: of.standing(),
        state: states.into_iter().find(|state| state.code() == of.choice % 4 + 1).expect("four states"),
        grantor: Grantor { user: of.optional(of.user()), service: of.optional(of.service()) },
        expires: of.optional(of.moment(1)),
        send_count: of.number,
        answered_by: of.optional(of.user()),
    }
}

fn member(of: &Ingredients) -> MemberState {
    MemberState {
        account: of.account(),
        user: of.user(),
        standing: of.standing(),
        joined: of.moment(2),
        invitation: of.optional(of.invitation()),
    }
}

fn user(of: &Ingredients) -> UserState {
    UserState {
        user: of.user(),
        address: of.address(),
        email: of.personal("email"),
        display_name: of.personal("called"),
        active: of.choice & 16 == 0,
        super_admin: of.choice & 32 != 0,
    }
}

fn session(of: &Ingredients) -> SessionState {
    SessionState {
        session: SessionId::from_bytes(of.id(0xa8)),
        user: of.user(),
        token: TokenDigest::from_bytes(of.digest),
        authenticated: of.moment(3),
        expires: of.moment(4),
    }
}

fn api_token(of: &Ingredients) -> ApiTokenState {
    ApiTokenState {
        api_token: ApiTokenId::from_bytes(of.id(0xad)),
        user: of.user(),
        account: of.account(),
        name: of.personal("token"),
        token: TokenDigest::from_bytes(of.digest),
        cap: of.optional(of.standing()),
        expires: of.moment(7),
        ended: of.choice & 16 != 0,
    }
}

fn service(of: &Ingredients) -> ServiceState {
    ServiceState {
        service: of.service(),
        name: of.text.clone(),
        scopes: ScopeSet::from_bits(i64::from(of.choice % 64)).expect("six bits are six scopes"),
        account: of.optional(of.account()),
        token: of.optional(TokenDigest::from_bytes(of.digest)),
        certificate: of.optional(format!("spiffe://{}", of.text)),
        expires: of.optional(of.moment(5)),
        revoked: of.choice & 64 != 0,
    }
}
