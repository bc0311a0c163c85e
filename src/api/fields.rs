//! Parsing what a request says: every violation is gathered before one answer names them all.

use std::fmt::Display;

use prost::Message;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::app::UserRef;
use crate::app::access::About;
use crate::app::api_tokens;
use crate::app::caller::Caller;
use crate::app::page::{PageRequest, PageSize};
use crate::app::services::NOT_IN_THE_FUTURE;
use crate::app::tokens::Presented;
use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::email::{Email, EmailPrefix};
use crate::domain::error::{Error, Violation};
use crate::domain::event::{Actor, Subject};
use crate::domain::head::Head;
use crate::domain::name::{DisplayName, Slug, Timezone};
use crate::domain::permission::Permission;
use crate::domain::policy::Standing;
use crate::domain::privilege::Privilege;
use crate::domain::role::{Role, RoleSet};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::token::FORM;
use crate::proto;
use crate::store::requests::{RequestKey, Terms};

/// Bytes of an etag at most: more than any that was answered.
const ETAG: usize = 64;

/// Roles, states or scopes in one list at most, so that a list can't be made of repetitions.
const LIST: usize = 16;

/// Heads of history in one call at most: one an hour for more than a year.
const HEADS: usize = 10_000;

/// Above every number of a kind of events.
const KINDS_END: u16 = 256;

/// What is wrong with a request so far.
#[derive(Default)]
pub(super) struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    /// Starts with what is wrong already: with the account's name, for callers who may know.
    pub(super) fn after(violation: Option<Violation>) -> Self {
        Self { violations: violation.into_iter().collect() }
    }

    /// The refusal that names all violations.
    pub(super) fn refusal(self) -> Error {
        Error::FieldsInvalid(self.violations)
    }

    /// Refuses if anything is wrong.
    pub(super) fn check(self) -> Result<(), Error> {
        if self.violations.is_empty() { Ok(()) } else { Err(self.refusal()) }
    }

    /// Parses heads of history that were kept elsewhere.
    pub(super) fn heads(&mut self, given: &[proto::HistoryHead]) -> Option<Vec<Head>> {
        if given.len() > HEADS {
            self.violate("heads", &format_args!("must be at most {HEADS}"));
            return None;
        }
        let heads = given.iter().enumerate().map(|(at, head)| {
            let epoch = if head.epoch.is_empty() {
                Some(None)
            } else {
                self.take(&format!("heads[{at}].epoch"), head.epoch.parse()).map(Some)
            };
            let hash = head.hash[..].try_into().map_err(|_| "must be 32 bytes");
            let hash = self.take(&format!("heads[{at}].hash"), hash);
            let seq = self.take(&format!("heads[{at}].seq"), if head.seq > 0 { Ok(head.seq) } else { Err("must be at least 1") });
            Some(Head { epoch: epoch?, seq: seq?, hash: hash? })
        });
        let heads: Vec<Option<Head>> = heads.collect();
        heads.into_iter().collect()
    }

    /// Takes a value, or notes why it can't be taken.
    pub(super) fn take<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.violate(field, &error)).ok()
    }

    pub(super) fn violate(&mut self, field: &str, description: &dyn Display) {
        self.violations.push(Violation { field: field.to_owned(), description: description.to_string() });
    }

    /// Takes over what is wrong with one entry of a list.
    pub(super) fn adopt(&mut self, entry: &str, of_entry: Self) {
        let within = |violation: Violation| Violation { field: format!("{entry}.{}", violation.field), ..violation };
        self.violations.extend(of_entry.violations.into_iter().map(within));
    }

    /// A batch has entries, and not too many.
    pub(super) fn entries(&mut self, field: &str, count: usize, most: usize) {
        if count == 0 || count > most {
            self.violate(field, &format!("must have 1 to {most} entries"));
        }
    }

    pub(super) fn email(&mut self, text: &str) -> Option<Email> {
        self.take("email", Email::parse(text))
    }

    /// The beginning of an address; empty for any.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn email_prefix(&mut self, text: &str) -> Option<Option<EmailPrefix>> {
        if text.is_empty() { Some(None) } else { self.take("email_prefix", EmailPrefix::parse(text)).map(Some) }
    }

    pub(super) fn user(&mut self, text: &str) -> Option<UserRef> {
        let user = if text.starts_with(crate::domain::id::UserId::PREFIX) && !text.contains('@') {
            text.parse().map(UserRef::Id).map_err(|error| error.to_string())
        } else {
            let wrong = |_| "must be a user's id, usr_…, or an email address";
            Email::parse(text).map(UserRef::Email).map_err(wrong).map_err(str::to_owned)
        };
        self.take("user", user)
    }

    /// Whom a question is about: a user, the holder of a token, or for want of both the caller.
    pub(super) fn about(&mut self, user: &str, token: String) -> Option<About> {
        match (user.is_empty(), token.is_empty()) {
            (true, true) => Some(About::Caller),
            (false, true) => self.user(user).map(About::User),
            (true, false) => Some(About::Token(token.into())),
            (false, false) => {
                self.user(user);
                self.violate("token", &"give either token or user");
                None
            }
        }
    }

    pub(super) fn id<T: std::str::FromStr<Err: Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        self.take(field, text.parse())
    }

    /// A token of any kind, as it was shown.
    pub(super) fn token(&mut self, text: &str) -> Option<Presented> {
        self.take("token", Presented::parse(text).ok_or_else(|| format!("must be a token as it was shown: {FORM}")))
    }

    pub(super) fn slug(&mut self, field: &str, text: &str) -> Option<Slug> {
        self.take(field, Slug::parse(text))
    }

    /// The beginning of an account's name; empty for any.
    pub(super) fn name_prefix(&mut self, text: String) -> Option<String> {
        let slug = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = text.len() <= 63 && text.bytes().all(slug);
        self.take("name_prefix", good.then_some(text).ok_or("must be at most 63 of a-z, 0-9 and -"))
    }

    pub(super) fn display_name(&mut self, text: &str) -> Option<DisplayName> {
        self.take("display_name", DisplayName::parse(text))
    }

    pub(super) fn name(&mut self, text: &str) -> Option<DisplayName> {
        self.take("name", DisplayName::parse(text))
    }

    pub(super) fn timezone(&mut self, text: &str) -> Option<Timezone> {
        self.take("timezone", Timezone::parse(text))
    }

    /// An edition; none where it is left open.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn edition(&mut self, value: i32) -> Option<Option<Edition>> {
        if value == 0 {
            return Some(None);
        }
        self.take("edition", Edition::from_code(value.into()).ok_or("is no edition")).map(Some)
    }

    pub(super) fn privilege(&mut self, value: i32) -> Option<Privilege> {
        let privilege = Privilege::from_code(value.into());
        self.take("privilege", privilege.ok_or("must be PRIVILEGE_ADMIN, PRIVILEGE_NORMAL or PRIVILEGE_READ_ONLY"))
    }

    pub(super) fn permission(&mut self, value: i32) -> Option<Permission> {
        let permission = Permission::ALL.into_iter().find(|permission| i32::from(permission.code()) == value);
        self.take("permission", permission.ok_or("must be a known permission other than PERMISSION_UNSPECIFIED"))
    }

    pub(super) fn roles(&mut self, values: &[i32]) -> Option<RoleSet> {
        if values.len() > LIST {
            self.violate("roles", &format!("must have at most {LIST} entries"));
            return None;
        }
        let mut roles = Some(RoleSet::EMPTY);
        for (position, value) in values.iter().enumerate() {
            let role = Role::ALL.into_iter().find(|role| *role as i32 == *value);
            let field = format!("roles[{position}]");
            let role = self.take(&field, role.ok_or("must be ROLE_ADMIN, ROLE_ALERTS, ROLE_DATA or ROLE_TRENDING"));
            roles = roles.zip(role).map(|(roles, role)| roles.with(role));
        }
        roles
    }

    pub(super) fn scopes(&mut self, names: &[String]) -> Option<ScopeSet> {
        if names.is_empty() || names.len() > LIST {
            self.violate("scopes", &format!("must have 1 to {LIST} entries"));
            return None;
        }
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        let mut scopes = Some(Vec::new());
        for (position, name) in names.iter().enumerate() {
            let scope = self.take(&format!("scopes[{position}]"), Scope::parse(name).ok_or(format!("must be one of {known}")));
            scopes = scopes.zip(scope).map(|(mut scopes, scope)| {
                scopes.push(scope);
                scopes
            });
        }
        scopes.map(ScopeSet::from_iter)
    }

    /// A bit for each code of a list of values of an enum whose codes are 1 to `last`.
    pub(super) fn codes(&mut self, field: &str, values: &[i32], last: u32) -> Option<u8> {
        if values.len() > LIST {
            self.violate(field, &format!("must have at most {LIST} entries"));
            return None;
        }
        let mut codes = Some(0_u8);
        for (position, value) in values.iter().enumerate() {
            let bit = u32::try_from(*value).ok().filter(|value| (1..=last).contains(value)).map(|value| 1_u8 << value);
            let bit = self.take(&format!("{field}[{position}]"), bit.ok_or("must be a known value other than unspecified"));
            codes = codes.zip(bit).map(|(codes, bit)| codes | bit);
        }
        codes
    }

    /// A role; unspecified for any.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn role(&mut self, value: i32) -> Option<Option<Role>> {
        if value == 0 {
            return Some(None);
        }
        let role = Role::ALL.into_iter().find(|role| *role as i32 == value);
        self.take("role", role.ok_or("must be ROLE_ADMIN, ROLE_ALERTS, ROLE_DATA or ROLE_TRENDING")).map(Some)
    }

    pub(super) fn etag(&mut self, text: &str) -> Option<String> {
        let short = text.len() <= ETAG;
        self.take("etag", short.then(|| text.to_owned()).ok_or("must be an etag that was answered, or empty"))
    }

    /// Notes a moment that isn't in the future.
    pub(super) fn check_future(&mut self, field: &str, time: Option<Timestamp>, now: Timestamp) {
        if time.is_some_and(|time| time <= now) {
            self.violate(field, &NOT_IN_THE_FUTURE);
        }
    }

    /// When a personal token is to stop counting; absent for when they do of themselves.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn token_expire_time(
        &mut self,
        time: Option<prost_types::Timestamp>,
        now: Timestamp,
    ) -> Option<Option<Timestamp>> {
        let Some(time) = time else { return Some(None) };
        let time = moment(time).filter(|time| *time > now && *time <= now.plus(api_tokens::LONGEST));
        self.take("expire_time", time.map(Some).ok_or("must be in the future, by at most 365 days"))
    }

    /// What a personal token may do at most; absent for all.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn cap(&mut self, cap: Option<&proto::ApiTokenCap>) -> Option<Option<Standing>> {
        let Some(cap) = cap else { return Some(None) };
        let mut within = Self::default();
        let standing = within.privilege(cap.privilege).zip(within.roles(&cap.roles));
        self.adopt("cap", within);
        standing.map(|(privilege, roles)| Some(Standing { privilege, roles }))
    }

    /// The kinds of events that are asked for, and whether they are only some; none for all.
    pub(super) fn kinds(&mut self, values: &[i32]) -> Option<(Vec<u16>, bool)> {
        let known = |value: i32| proto::EventKind::try_from(value).is_ok_and(|kind| kind != proto::EventKind::Unspecified);
        if values.is_empty() {
            let all = (1..KINDS_END).filter(|value| known((*value).into()));
            return Some((all.collect(), false));
        }
        if values.len() > usize::from(KINDS_END) {
            self.violate("kinds", &format!("must have at most {KINDS_END} entries"));
            return None;
        }
        let mut kinds = Some(std::collections::BTreeSet::new());
        for (position, value) in values.iter().enumerate() {
            let kind = u16::try_from(*value).ok().filter(|_| known(*value));
            let kind = self.take(&format!("kinds[{position}]"), kind.ok_or("must be a known kind other than unspecified"));
            kinds = kinds.zip(kind).map(|(mut kinds, kind)| {
                kinds.insert(kind);
                kinds
            });
        }
        kinds.map(|kinds| (kinds.into_iter().collect(), true))
    }

    /// Who did something, as events show it; empty for anybody.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn actor(&mut self, text: &str) -> Option<Option<Actor>> {
        if text.is_empty() {
            return Some(None);
        }
        let wrong = "must be usr_…, svc_…, operator:<uid>, server or anonymous";
        self.take("actor", Actor::parse(text).ok_or(wrong)).map(Some)
    }

    /// What something is about, as events show it; empty for anything.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn subject(&mut self, text: &str) -> Option<Option<Subject>> {
        if text.is_empty() {
            return Some(None);
        }
        let wrong = "must be an id: usr_…, inv_…, svc_…, sid_…, tok_… or mail_…";
        self.take("subject", Subject::parse(text).ok_or(wrong)).map(Some)
    }

    /// A moment; absent for none.
    #[allow(clippy::option_option, reason = "the outer one is whether it could be taken, like for every field")]
    pub(super) fn moment(&mut self, field: &str, time: Option<prost_types::Timestamp>) -> Option<Option<Timestamp>> {
        let Some(time) = time else { return Some(None) };
        self.take(field, moment(time).ok_or("must be a moment that can be said in microseconds")).map(Some)
    }

    /// A SAN URI or DNS name, as it stands in a certificate: compared exactly.
    pub(super) fn certificate(&mut self, name: &str) -> Option<String> {
        let sane = name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic());
        let dns = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let known = name.contains("://") || name.split('.').all(dns);
        let wrong = "must be a SAN URI such as spiffe://site/tool, or a DNS name without wildcards, of at most 255 characters";
        self.take("certificate_name", (sane && known).then(|| name.to_owned()).ok_or(wrong))
    }

    pub(super) fn page(&mut self, size: i32, token: String) -> Option<PageRequest> {
        let size = self.take("page_size", PageSize::of(size).ok_or("must not be negative"));
        size.map(|size| PageRequest { size, token })
    }

    /// On what terms a change is asked for. `rest` is the request without its `request_id`: what a retry must have in common.
    pub(super) fn terms<T: Message>(
        &mut self,
        caller: &Caller,
        rpc: &'static str,
        id: &str,
        rest: &T,
        validate_only: bool,
    ) -> Option<Terms> {
        if id.is_empty() {
            return Some(Terms { key: None, validate_only });
        }
        let id = self.take("request_id", Uuid::try_parse(id).map_err(|_| "must be a UUID"))?;
        let fingerprint = Sha256::digest(rest.encode_to_vec()).into();
        Some(Terms { key: Some(RequestKey { caller: caller.key(), rpc, id: *id.as_bytes(), fingerprint }), validate_only })
    }

    /// One of a token and an id, as two ways to name an invitation.
    pub(super) fn meant(&mut self, token: String, invitation: &str) -> Option<crate::app::answers::Meant> {
        use crate::app::answers::Meant;
        match (token.is_empty(), invitation.is_empty()) {
            (false, true) => Some(Meant::Token(token.into())),
            (true, false) => self.id("invitation", invitation).map(Meant::Id),
            (true, true) | (false, false) => {
                self.violate("token", &"give either token or invitation");
                None
            }
        }
    }
}

fn moment(time: prost_types::Timestamp) -> Option<Timestamp> {
    let nanos = (0..1_000_000_000).contains(&time.nanos).then_some(i64::from(time.nanos))?;
    let micros = time.seconds.checked_mul(1_000_000)?.checked_add(nanos / 1000)?;
    Some(Timestamp::from_micros(micros))
}
