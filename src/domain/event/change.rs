//! The kinds of events: one table of numbers, names and the state that each carries.

use super::Malformed;
use super::bytes::{Reader, Writer};
use super::states::{
    AccountState, ApiTokenState, DataState, EmailChangeState, ErasedState, InvitationState, LinkKeyState, LoginLinkState,
    LoginState, MailState, MemberState, ServiceState, SessionState, State, TrimState, UserState,
};
use crate::domain::id::AccountId;

macro_rules! changes {
    ($($number:literal = $name:ident($state:ty);)*) => {
        /// What happened, with the full state after it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is what its name says; the contract's EventKind describes them")]
        pub enum Change {
            $($name($state),)*
        }

        impl Change {
            /// The number of its kind: that of the contract's `EventKind`. It is part of hashed history, so it never changes.
            #[must_use]
            pub const fn kind(&self) -> u16 {
                match self {
                    $(Self::$name(_) => $number,)*
                }
            }

            /// The account that it concerns.
            #[must_use]
            pub fn account(&self) -> Option<AccountId> {
                match self {
                    $(Self::$name(state) => state.account(),)*
                }
            }

            /// The user or address that its personal values are about, for erasure.
            #[must_use]
            pub fn person(&self) -> Option<[u8; 16]> {
                match self {
                    $(Self::$name(state) => state.person(),)*
                }
            }

            pub(super) fn write(&self, to: &mut Writer) {
                match self {
                    $(Self::$name(state) => state.write(to),)*
                }
            }

            pub(super) fn read(kind: u16, from: &mut Reader<'_>) -> Result<Self, Malformed> {
                match kind {
                    $($number => <$state>::read(from).map(Self::$name),)*
                    _ => Err(Malformed),
                }
            }
        }
    };
}

changes! {
    1 = EditionSet(DataState);
    2 = LinkKeyRotated(LinkKeyState);
    3 = HistoryTrimmed(TrimState);
    10 = AccountCreated(AccountState);
    11 = AccountUpdated(AccountState);
    12 = AccountClosed(AccountState);
    13 = AccountReopened(AccountState);
    14 = AccountLeftWithoutAdmin(AccountState);
    20 = InvitationCreated(InvitationState);
    21 = InvitationRenewed(InvitationState);
    22 = InvitationResent(InvitationState);
    23 = InvitationWithdrawn(InvitationState);
    24 = InvitationAccepted(InvitationState);
    25 = InvitationIgnored(InvitationState);
    26 = InvitationUpdated(InvitationState);
    27 = InvitationLinkReturned(InvitationState);
    30 = MemberJoined(MemberState);
    31 = MemberPrivilegeChanged(MemberState);
    32 = MemberRolesAssigned(MemberState);
    33 = MemberRemoved(MemberState);
    34 = MemberLeft(MemberState);
    40 = UserCreated(UserState);
    41 = SuperAdminGranted(UserState);
    42 = SuperAdminRevoked(UserState);
    43 = UserUpdated(UserState);
    44 = UserEmailChanged(EmailChangeState);
    45 = UserPasswordChanged(LoginState);
    46 = UserPasswordReset(LoginState);
    47 = UserDeactivated(UserState);
    48 = UserReactivated(UserState);
    49 = UserDeleted(ErasedState);
    50 = SessionStarted(SessionState);
    51 = SessionEnded(SessionState);
    52 = SessionsRevoked(LoginState);
    53 = LoginLinkMade(LoginLinkState);
    60 = ServiceCreated(ServiceState);
    61 = ServiceRevoked(ServiceState);
    62 = ServiceExpiring(ServiceState);
    70 = MailRetried(MailState);
    80 = ApiTokenCreated(ApiTokenState);
    81 = ApiTokenEnded(ApiTokenState);
    82 = ApiTokenExpiring(ApiTokenState);
}
