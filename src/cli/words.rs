//! The words of the contract as people write them: `read-only` for `PRIVILEGE_READ_ONLY`.

use clap::ValueEnum;

use super::screen::NOTHING;
use crate::proto;

/// Words that can be typed, each the value of the same name in the contract.
macro_rules! typed {
    ($($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $value:ident),* $(,)? })*) => {$(
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub(super) enum $name { $($(#[doc = $doc])* $value),* }

        impl From<$name> for i32 {
            fn from(word: $name) -> Self {
                match word { $($name::$value => proto::$name::$value.into()),* }
            }
        }
    )*};
}

typed! {
    /// A column.
    Privilege { Admin, Normal, ReadOnly }
    /// A finer modification.
    Role { Admin, Alerts, Data, Trending }
    /// What a check asks about.
    Permission {
        View,
        ManageUsers,
        RespondToAlerts,
        ModifyAlertRules,
        ModifyChecks,
        ModifyTemplates,
        ModifyGraphs,
        ModifyWorksheets,
    }
    /// Where an invitation stands.
    InvitationState { Pending, Accepted, Ignored, Withdrawn, Expired }
    /// How far a mail has come.
    DeliveryState { Queued, Sending, Sent, Failed, Dropped }
    /// What happened.
    EventKind {
        EditionSet,
        LinkKeyRotated,
        HistoryTrimmed,
        AccountCreated,
        AccountUpdated,
        AccountClosed,
        AccountReopened,
        AccountLeftWithoutAdmin,
        InvitationCreated,
        InvitationRenewed,
        InvitationResent,
        InvitationWithdrawn,
        InvitationAccepted,
        InvitationIgnored,
        InvitationUpdated,
        InvitationLinkReturned,
        MemberJoined,
        MemberPrivilegeChanged,
        MemberRolesAssigned,
        MemberRemoved,
        MemberLeft,
        UserCreated,
        SuperAdminGranted,
        SuperAdminRevoked,
        UserUpdated,
        UserEmailChanged,
        UserPasswordChanged,
        UserPasswordReset,
        UserDeactivated,
        UserReactivated,
        UserDeleted,
        SessionStarted,
        SessionEnded,
        SessionsRevoked,
        LoginLinkMade,
        ServiceCreated,
        ServiceRevoked,
        ServiceExpiring,
        MailRetried,
        ApiTokenCreated,
        ApiTokenEnded,
        ApiTokenExpiring,
    }
}

/// Whether somebody can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LoginState {
    Active,
    Deactivated,
}

impl LoginState {
    pub(super) const fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }
}

/// A yes or no that can be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Whether {
    Yes,
    No,
}

impl Whether {
    pub(super) const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// An enum of the contract that can be spelt.
pub(super) trait Spelt: TryFrom<i32> {
    /// What all of its names begin with.
    const PREFIX: &'static str;
    /// The name in the contract.
    fn name(&self) -> &'static str;
}

macro_rules! spelt {
    ($($name:ident $prefix:literal),* $(,)?) => {$(
        impl Spelt for proto::$name {
            const PREFIX: &'static str = $prefix;

            fn name(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}

spelt! {
    AccessReason "ACCESS_REASON_",
    AddressWarning "ADDRESS_WARNING_",
    DeliveryState "DELIVERY_STATE_",
    Edition "EDITION_",
    EventKind "EVENT_KIND_",
    HeldReason "HELD_REASON_",
    InvitationState "INVITATION_STATE_",
    MailKind "MAIL_KIND_",
    Permission "PERMISSION_",
    Privilege "PRIVILEGE_",
    Role "ROLE_",
}

/// A value's word; nothing for the unspecified one, and the number for one that only a newer program knows.
pub(super) fn word<E: Spelt>(number: i32) -> String {
    match E::try_from(number) {
        _ if number == 0 => String::new(),
        Ok(value) => {
            let name = value.name();
            name.strip_prefix(E::PREFIX).unwrap_or(name).to_lowercase().replace('_', "-")
        }
        Err(_) => number.to_string(),
    }
}

/// The words of some values.
pub(super) fn words<E: Spelt>(numbers: &[i32]) -> String {
    numbers.iter().map(|number| word::<E>(*number)).collect::<Vec<_>>().join(",")
}

/// A moment in RFC 3339, UTC, to the second.
pub(super) fn time(time: Option<&prost_types::Timestamp>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::new(time.seconds, 0).ok());
    time.map_or_else(|| NOTHING.to_owned(), |time| time.to_string())
}

/// Takes a moment that is typed.
pub(super) fn typed_moment(text: &str) -> Result<jiff::Timestamp, &'static str> {
    text.parse().map_err(|_| "must be a moment such as 2030-01-31T00:00:00Z or 2030-01-31T01:00:00+01:00")
}

/// A moment that was typed, as the contract has it.
pub(super) fn moment(time: jiff::Timestamp) -> prost_types::Timestamp {
    // before 1970 both count backwards, and the contract's nanoseconds only forwards
    let nanos = time.subsec_nanosecond();
    let (seconds, nanos) = if nanos < 0 { (time.as_second() - 1, nanos + 1_000_000_000) } else { (time.as_second(), nanos) };
    prost_types::Timestamp { seconds, nanos }
}

/// How long, in the two largest units that say something.
pub(super) fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A yes or no.
pub(super) fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// An UUID under which a change can be repeated without being done twice.
pub(super) fn request_id() -> String {
    let mut bytes = [0; 16];
    // without random bits it would be another's id: an empty one asks for nothing
    match getrandom::fill(&mut bytes) {
        Ok(()) => uuid::Builder::from_random_bytes(bytes).into_uuid().to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: ValueEnum + Into<i32> + Copy, E: Spelt>() {
        let typed: Vec<String> = T::value_variants().iter().map(|value| word::<E>((*value).into())).collect();
        let told: Vec<String> =
            T::value_variants().iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned())).collect();
        assert_eq!(typed, told);
        let all = (1..100).filter(|number| E::try_from(*number).is_ok()).count();
        assert_eq!(told.len(), all, "every value can be typed");
    }

    #[test]
    fn what_is_typed_is_spelt_as_what_is_shown() {
        same::<Privilege, proto::Privilege>();
        same::<Role, proto::Role>();
        same::<Permission, proto::Permission>();
        same::<InvitationState, proto::InvitationState>();
        same::<DeliveryState, proto::DeliveryState>();
        same::<EventKind, proto::EventKind>();
    }

    #[test]
    fn values_that_only_a_newer_server_knows_are_shown_as_numbers() {
        assert_eq!(words::<proto::Role>(&[2, 99]), "alerts,99");
        assert_eq!(word::<proto::HeldReason>(0), "");
    }

    #[test]
    fn times_are_utc_and_durations_short() {
        assert_eq!(time(Some(&prost_types::Timestamp { seconds: 86_400, nanos: 5 })), "1970-01-02T00:00:00Z");
        assert_eq!(time(None), "-");
        let moment = |text: &str| moment(text.parse().unwrap());
        assert_eq!(moment("1970-01-01T01:00:00.5+01:00"), prost_types::Timestamp { seconds: 0, nanos: 500_000_000 });
        assert_eq!(moment("1969-12-31T23:59:59.75Z"), prost_types::Timestamp { seconds: -1, nanos: 750_000_000 });
        assert_eq!([59, 60, 7260, 90_000].map(duration), ["59 s", "1 min", "2 h 1 min", "1 d 1 h"]);
    }
}
