//! Takes the steps at a running service, and compares what it shows after each with the model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};
use tonic::{Response, Status};
use user_management::proto::{self, Privilege, Role};

use super::cast::Cast;
use super::model::{Expected, Model, Told};
use super::steps::{By, Etag, Named, Step, Who};
use crate::client::reason;

/// An invitation as the service has shown it.
#[derive(Default)]
struct Made {
    id: String,
    /// The etags that it had, in their order.
    etags: Vec<String>,
    /// Tokens of links that were answered, by the number of the link.
    tokens: BTreeMap<usize, String>,
}

/// What a call answered.
#[derive(Debug)]
enum Answer {
    Nothing,
    Invitation(Box<proto::Invitation>, Option<proto::ReturnedLink>),
    Preview(Box<proto::InvitationPreview>),
    Accepted(Box<proto::AcceptInvitationResponse>),
}

/// One account at the service, and the model of it.
pub(super) struct Play<'a> {
    cast: &'a mut Cast,
    account: String,
    model: Model,
    made: Vec<Made>,
}

impl<'a> Play<'a> {
    pub(super) async fn begin(cast: &'a mut Cast) -> Self {
        let account = cast.begin().await;
        let model = Model::new(cast.site.clock.now().as_micros());
        Self { cast, account, model, made: Vec::new() }
    }

    /// Takes one step; answers how it ended, none if there was nothing to do.
    pub(super) async fn take(&mut self, step: Step) -> Result<Option<&'static str>, TestCaseError> {
        // by which name is settled before the step changes it
        let (back, wish) = match step {
            Step::Accept { back, named, .. } | Step::Ignore { back, named, .. } => (back, named),
            Step::Update { back, .. } | Step::Resend { back, .. } | Step::Withdraw { back, .. } => (back, Named::Id),
            _ => (0, Named::Id),
        };
        let named = self.model.meant(back).map_or(Named::Id, |meant| self.model.invitations[meant].named(wish));
        let Some(expected) = self.model.take(step) else { return Ok(None) };
        let answer = self.call(step, named).await;
        self.judge(step, expected, answer)?;
        self.compare(step).await?;
        Ok(Some(expected.err().unwrap_or("OK")))
    }

    async fn call(&mut self, step: Step, named: Named) -> Result<Answer, Status> {
        let account = self.account.clone();
        match step {
            Step::Invite { by, who, grant, return_link } => {
                let (email, privilege) = (Cast::email(who).to_owned(), grant.privilege.into());
                let roles = codes(grant.role);
                let request = proto::InviteUserRequest { account, email, privilege, roles, return_link, ..Default::default() };
                let answer = self.cast.manager(by).await.users.invite_user(request).await.map(Response::into_inner)?;
                Ok(Answer::Invitation(answer.invitation.expect("an invitation").into(), answer.link))
            }
            Step::Update { by, back, grant, etag } => {
                let (invitation, etag) = self.names(back, etag);
                let (privilege, roles) = (grant.privilege.into(), codes(grant.role));
                let request =
                    proto::UpdateInvitationRequest { account, invitation, privilege, roles, etag, ..Default::default() };
                let answer = self.cast.manager(by).await.users.update_invitation(request).await.map(Response::into_inner)?;
                Ok(Answer::Invitation(answer.invitation.expect("an invitation").into(), None))
            }
            Step::Resend { by, back, etag, return_link } => {
                let (invitation, etag) = self.names(back, etag);
                let request = proto::ResendInvitationRequest { account, invitation, etag, return_link, ..Default::default() };
                let answer = self.cast.manager(by).await.users.resend_invitation(request).await.map(Response::into_inner)?;
                Ok(Answer::Invitation(answer.invitation.expect("an invitation").into(), answer.link))
            }
            Step::Withdraw { by, back, etag } => {
                let (invitation, etag) = self.names(back, etag);
                let request = proto::WithdrawInvitationRequest { account, invitation, etag, ..Default::default() };
                let answer = self.cast.manager(by).await.users.withdraw_invitation(request).await.map(Response::into_inner)?;
                Ok(Answer::Invitation(answer.invitation.expect("an invitation").into(), None))
            }
            Step::Accept { stranger, back, etag, .. } => {
                let (invitation, etag) = self.names(back, etag);
                let (invitation, token) = self.by_link(back, named, invitation);
                let request = proto::AcceptInvitationRequest { invitation, token, etag, ..Default::default() };
                let answer = self
                    .cast
                    .invited(self.answers(back, stranger))
                    .await
                    .identity
                    .accept_invitation(request)
                    .await
                    .map(Response::into_inner)?;
                Ok(Answer::Accepted(answer.into()))
            }
            Step::Ignore { stranger, back, .. } => {
                let (invitation, _) = self.names(back, Etag::Absent);
                let (invitation, token) = self.by_link(back, named, invitation);
                let request = proto::IgnoreInvitationRequest { invitation, token, ..Default::default() };
                let answer = self
                    .cast
                    .invited(self.answers(back, stranger))
                    .await
                    .identity
                    .ignore_invitation(request)
                    .await
                    .map(Response::into_inner)?;
                Ok(Answer::Preview(answer.invitation.expect("a preview").into()))
            }
            Step::Remove { who } => {
                let user = Cast::email(who).to_owned();
                let request = proto::RemoveMemberRequest { account, user, ..Default::default() };
                self.cast.operator().await.users.remove_member(request).await.map(|_| Answer::Nothing)
            }
            Step::Pass { hours } => {
                self.cast.site.clock.advance(Duration::from_hours(hours.into()));
                Ok(Answer::Nothing)
            }
            Step::LetAnnManage(manages) => self.cast.let_ann_manage(&account, manages).await.map(|()| Answer::Nothing),
            Step::OpenAccount(open) => self.cast.open_account(&account, open).await.map(|()| Answer::Nothing),
            Step::RevokeTool => self.cast.revoke_tool().await.map(|()| Answer::Nothing),
            Step::SwitchTo { saas } => {
                self.cast.switch_to(saas).await;
                Ok(Answer::Nothing)
            }
        }
    }

    /// The id of the invitation that is meant, with the etag that was wished for.
    fn names(&self, back: usize, etag: Etag) -> (String, String) {
        let made = &self.made[self.model.meant(back).expect("the model has it")];
        let etag = match etag {
            Etag::Absent => String::new(),
            Etag::Present => made.etags.last().cloned().expect("it was shown"),
            // the model knows that there is none while it never changed
            Etag::Stale => made.etags.first().filter(|_| made.etags.len() > 1).cloned().unwrap_or_default(),
        };
        (made.id.clone(), etag)
    }

    fn answers(&self, back: usize, stranger: bool) -> Who {
        self.model.answers(self.model.meant(back).expect("the model has it"), stranger)
    }

    /// Either the id or a token.
    fn by_link(&self, back: usize, named: Named, id: String) -> (String, String) {
        let made = &self.made[self.model.meant(back).expect("the model has it")];
        let link = match named {
            Named::Id => return (id, String::new()),
            Named::Link => made.tokens.last_key_value(),
            Named::OldLink => made.tokens.first_key_value(),
        };
        (String::new(), link.expect("the model knows of it").1.clone())
    }

    /// Whether the answer is the one that the model gave.
    fn judge(&mut self, step: Step, expected: Expected, answer: Result<Answer, Status>) -> Result<(), TestCaseError> {
        let told = match (expected, answer) {
            (Err(expected), Err(refused)) => {
                prop_assert_eq!(&reason(&refused), expected, "{:?}", step);
                return Ok(());
            }
            (Ok(told), Ok(answer)) => (told, answer),
            (expected, answer) => {
                return Err(TestCaseError::fail(format!("{step:?}: expected {expected:?}, answered {answer:?}")));
            }
        };
        match told {
            (Told::Nothing, Answer::Nothing) => {}
            (Told::Invitation(meant), Answer::Invitation(answer, link)) => {
                if meant == self.made.len() {
                    prop_assert!(!self.made.iter().any(|made| made.id == answer.id), "{:?}: a used id", step);
                    self.made.push(Made { id: answer.id.clone(), ..Made::default() });
                }
                let invitation = &self.model.invitations[meant];
                let asked = matches!(step, Step::Invite { return_link: true, .. } | Step::Resend { return_link: true, .. });
                prop_assert_eq!(link.is_some(), asked, "{:?}", step);
                let made = &mut self.made[meant];
                made.tokens.extend(link.map(|link| (invitation.links, link.token)));
                made.note(invitation.version, &answer.etag)?;
                self.is_as_expected(step, meant, &answer)?;
            }
            (Told::Invitation(meant), Answer::Preview(answer)) => {
                let state = self.model.invitations[meant].state(self.model.now);
                prop_assert_eq!((&answer.id, answer.state()), (&self.made[meant].id, state), "{:?}", step);
                self.made[meant].note(self.model.invitations[meant].version, &answer.etag)?;
            }
            (Told::Member(who, new), Answer::Accepted(answer)) => {
                let member = answer.member.as_ref().expect("a member");
                prop_assert_eq!(standing(member), self.expected_standing(who), "{:?}", step);
                let gained = answer.effects.iter().any(|effect| !effect.gained.is_empty());
                prop_assert_eq!(gained, new, "{:?}: {:?}", step, answer.effects);
            }
            (told, answer) => return Err(TestCaseError::fail(format!("{step:?}: expected {told:?}, answered {answer:?}"))),
        }
        Ok(())
    }

    fn expected_standing(&self, who: Who) -> Option<(Privilege, Vec<Role>)> {
        self.model.members.get(&who).map(|grant| (grant.privilege, grant.role.into_iter().collect()))
    }

    fn is_as_expected(&self, step: Step, meant: usize, shown: &proto::Invitation) -> Result<(), TestCaseError> {
        let expected = &self.model.invitations[meant];
        let expires = shown.expire_time.map(|time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1000);
        prop_assert_eq!(
            (shown.id.as_str(), shown.email.as_str(), shown.state(), shown.privilege(), shown.roles().collect::<Vec<_>>()),
            (
                self.made[meant].id.as_str(),
                Cast::email(expected.who),
                expected.state(self.model.now),
                expected.grant.privilege,
                expected.grant.role.into_iter().collect()
            ),
            "{:?}",
            step
        );
        prop_assert_eq!(
            (shown.granted_by.as_str(), shown.held_reason(), expires, shown.send_count),
            (self.cast.grantor(expected.by), self.model.held(expected), Some(expected.expires), expected.mails),
            "{:?}",
            step
        );
        Ok(())
    }

    /// Compares all that the service shows of the account with the model.
    async fn compare(&mut self, step: Step) -> Result<(), TestCaseError> {
        let mut operator = self.cast.operator().await;
        if let Some(newest) = self.made.last() {
            let request = proto::GetInvitationRequest { account: self.account.clone(), invitation: newest.id.clone() };
            let shown = operator.users.get_invitation(request).await.expect("it is there").into_inner();
            self.is_as_expected(step, self.made.len() - 1, &shown.invitation.expect("an invitation"))?;
        }
        let all = [1, 2, 3, 4, 5].to_vec();
        for (states, held) in [(Vec::new(), None), (all, None), (Vec::new(), Some(true))] {
            let answered_too = !states.is_empty();
            let request = proto::ListInvitationsRequest { account: self.account.clone(), states, held, ..Default::default() };
            let mut listed = operator.users.list_invitations(request).await.expect("listed").into_inner().invitations;
            listed.retain(|each| [Who::Cy, Who::Dee].map(Cast::email).contains(&each.email.as_str()));
            let mut found = BTreeSet::new();
            for shown in listed {
                let meant = self.made.iter().position(|made| made.id == shown.id);
                let meant = meant.ok_or_else(|| TestCaseError::fail(format!("{step:?}: nobody made {shown:?}")))?;
                prop_assert!(found.insert(meant), "{:?}: listed twice", step);
                self.is_as_expected(step, meant, &shown)?;
                self.made[meant].note(self.model.invitations[meant].version, &shown.etag)?;
            }
            prop_assert_eq!(found, self.model.listed(answered_too, held), "{:?}: listed, {:?}", step, held);
        }
        let request = proto::ListMembersRequest { account: self.account.clone(), ..Default::default() };
        let members = operator.users.list_members(request).await.expect("listed").into_inner().members;
        for who in [Who::Cy, Who::Dee] {
            let shown = members.iter().find(|member| member.email == Cast::email(who)).and_then(standing);
            prop_assert_eq!(shown, self.expected_standing(who), "{:?}: {:?} as a member", step, who);
        }
        Ok(())
    }
}

impl Made {
    /// Notes an etag that was shown: another than any before exactly if the invitation was changed since.
    fn note(&mut self, version: usize, etag: &str) -> Result<(), TestCaseError> {
        if let Some(known) = self.etags.get(version) {
            prop_assert_eq!(known, etag, "nothing was changed");
            return Ok(());
        }
        prop_assert_eq!(self.etags.len(), version, "changed once");
        prop_assert!(!self.etags.iter().any(|known| known == etag), "changed, and has the etag of before");
        self.etags.push(etag.to_owned());
        Ok(())
    }
}

fn codes(role: Option<Role>) -> Vec<i32> {
    role.into_iter().map(Into::into).collect()
}

/// Where a member stands, whether their role counts in the edition or not.
#[allow(clippy::unnecessary_wraps, reason = "compared with where somebody stands who may be no member")]
fn standing(member: &proto::Member) -> Option<(Privilege, Vec<Role>)> {
    Some((member.privilege(), member.roles().chain(member.dormant_roles()).collect()))
}

impl Cast {
    fn grantor(&self, by: By) -> &str {
        match by {
            By::Operator => "operator",
            By::Ann | By::ToolForAnn => self.id_of("ann"),
            By::Bea => self.id_of("bea"),
            By::Tool => self.tool(),
        }
    }
}
