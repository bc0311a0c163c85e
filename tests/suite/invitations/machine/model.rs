//! What should become of invitations by any steps, written down once more from the rules: nothing here asks the service's own code.

use std::collections::{BTreeMap, BTreeSet};

use user_management::proto::{HeldReason, InvitationState, Role};

use super::steps::{By, Etag, Grant, Named, Step, Who};

/// How long an invitation is good for, in microseconds.
const LIFETIME: i64 = 7 * 24 * 60 * 60 * 1_000_000;

/// What the answer of a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Invitation(usize),
    /// A membership, and whether it is new.
    Member(Who, bool),
}

/// An answer, or the reason of the refusal.
pub(super) type Expected = Result<Told, &'static str>;

pub(super) struct Invitation {
    pub(super) who: Who,
    pub(super) grant: Grant,
    pub(super) by: By,
    /// The answer; pending where there is none.
    answer: InvitationState,
    pub(super) expires: i64,
    pub(super) mails: i32,
    /// How often it was changed: each time has another etag.
    pub(super) version: usize,
    /// The numbers of links that were answered, the newest link being the last number.
    pub(super) answered_links: Vec<usize>,
    pub(super) links: usize,
}

impl Invitation {
    pub(super) fn unanswered(&self) -> bool {
        self.answer == InvitationState::Pending
    }

    pub(super) fn state(&self, now: i64) -> InvitationState {
        if self.unanswered() && self.expires <= now { InvitationState::Expired } else { self.answer }
    }

    /// How it can be named: as was wished, if there is such a link.
    pub(super) fn named(&self, wish: Named) -> Named {
        let newest = |link: &&usize| **link == self.links;
        match wish {
            Named::Link if self.answered_links.iter().any(|link| newest(&link)) => Named::Link,
            Named::OldLink if self.answered_links.iter().any(|link| !newest(&link)) => Named::OldLink,
            _ => Named::Id,
        }
    }

    fn is_stale(&self, etag: Etag) -> bool {
        etag == Etag::Stale && self.version > 0
    }

    fn check_unanswered(&self) -> Result<(), &'static str> {
        match self.answer {
            InvitationState::Pending => Ok(()),
            InvitationState::Withdrawn => Err("INVITATION_WITHDRAWN"),
            _ => Err("INVITATION_ANSWERED"),
        }
    }

    fn send(&mut self, by: By, return_link: bool, now: i64) {
        self.by = by;
        self.expires = now + LIFETIME;
        self.links += 1;
        if return_link {
            self.answered_links.push(self.links);
        } else {
            self.mails += 1;
        }
    }
}

/// An account with what stands in it.
#[allow(clippy::struct_excessive_bools, reason = "what is outside of the invitations is so or isn't, each by itself")]
pub(super) struct Model {
    pub(super) invitations: Vec<Invitation>,
    pub(super) members: BTreeMap<Who, Grant>,
    pub(super) now: i64,
    pub(super) open: bool,
    pub(super) saas: bool,
    ann_manages: bool,
    tool_counts: bool,
}

impl Model {
    pub(super) fn new(now: i64) -> Self {
        let (invitations, members) = (Vec::new(), BTreeMap::new());
        Self { invitations, members, now, open: true, saas: false, ann_manages: true, tool_counts: true }
    }

    /// The invitation that is meant, if there is any.
    pub(super) fn meant(&self, back: usize) -> Option<usize> {
        self.invitations.len().checked_sub(1).map(|last| last - back % (last + 1))
    }

    /// Who answers an invitation: whom it is for, or the other one.
    pub(super) fn answers(&self, meant: usize, stranger: bool) -> Who {
        match (self.invitations[meant].who, stranger) {
            (Who::Cy, false) | (Who::Dee, true) => Who::Cy,
            (Who::Dee, false) | (Who::Cy, true) => Who::Dee,
        }
    }

    /// Takes a step; none if it is about what isn't there, or about something outside that is so already.
    pub(super) fn take(&mut self, step: Step) -> Option<Expected> {
        Some(match step {
            Step::Invite { by, who, grant, return_link } => self.invite(by, who, grant, return_link),
            Step::Update { by, back, grant, etag } => {
                let meant = self.meant(back)?;
                self.update(by, meant, grant, etag)
            }
            Step::Resend { by, back, etag, return_link } => {
                let meant = self.meant(back)?;
                self.resend(by, meant, etag, return_link)
            }
            Step::Withdraw { by, back, etag } => {
                let meant = self.meant(back)?;
                self.withdraw(by, meant, etag)
            }
            Step::Accept { stranger, back, named, etag } => {
                let meant = self.meant(back)?;
                self.accept(self.answers(meant, stranger), meant, named, etag)
            }
            Step::Ignore { stranger, back, named } => {
                let meant = self.meant(back)?;
                self.ignore(self.answers(meant, stranger), meant, named)
            }
            Step::Remove { who } => self.members.remove(&who).map(|_| Ok(Told::Nothing))?,
            Step::Pass { hours } => {
                self.now += i64::from(hours) * 60 * 60 * 1_000_000;
                Ok(Told::Nothing)
            }
            Step::LetAnnManage(manages) => becomes(&mut self.ann_manages, manages)?,
            Step::OpenAccount(open) => becomes(&mut self.open, open)?,
            Step::RevokeTool => becomes(&mut self.tool_counts, false)?,
            Step::SwitchTo { saas } => becomes(&mut self.saas, saas)?,
        })
    }

    /// Whether somebody may manage users now, and what they hear if not.
    fn admit(&self, by: By) -> Result<(), &'static str> {
        let (ann, bea) = (self.open && self.ann_manages, self.open);
        match by {
            By::Tool | By::ToolForAnn if !self.tool_counts => Err("CREDENTIALS_INVALID"),
            By::Operator | By::Tool => Ok(()),
            By::Ann | By::ToolForAnn if ann => Ok(()),
            By::Bea if bea => Ok(()),
            By::Ann | By::ToolForAnn | By::Bea => Err("ACCESS_DENIED"),
        }
    }

    fn is_off(&self, grant: Grant) -> bool {
        self.saas && grant.role.is_some_and(|role| role != Role::Admin)
    }

    /// What can be granted at all.
    fn check_grant(&self, grant: Grant) -> Result<(), &'static str> {
        if self.is_off(grant) { Err("ROLE_OFF_IN_EDITION") } else { Ok(()) }
    }

    fn check_open(&self) -> Result<(), &'static str> {
        if self.open { Ok(()) } else { Err("ACCOUNT_CLOSED") }
    }

    /// Why an unanswered invitation can't be accepted now, although it hasn't expired.
    pub(super) fn held(&self, invitation: &Invitation) -> HeldReason {
        let by_tool = matches!(invitation.by, By::Tool | By::ToolForAnn);
        let by_ann = matches!(invitation.by, By::Ann | By::ToolForAnn);
        if !invitation.unanswered() {
            HeldReason::Unspecified
        } else if !self.open {
            HeldReason::AccountClosed
        } else if by_tool && !self.tool_counts {
            HeldReason::ServiceNotEntitled
        } else if by_ann && !self.ann_manages {
            HeldReason::GrantorLacksManageUsers
        } else if self.is_off(invitation.grant) {
            HeldReason::RoleOffInEdition
        } else {
            HeldReason::Unspecified
        }
    }

    /// Which invitations are listed: the unanswered ones, or all; those that are held, or both kinds.
    pub(super) fn listed(&self, answered_too: bool, held: Option<bool>) -> BTreeSet<usize> {
        let is_held = |invitation: &Invitation| self.held(invitation) != HeldReason::Unspecified;
        let listed = |invitation: &Invitation| {
            (answered_too || invitation.unanswered()) && held.is_none_or(|held| held == is_held(invitation))
        };
        self.invitations.iter().enumerate().filter(|(_, invitation)| listed(invitation)).map(|(position, _)| position).collect()
    }

    fn invite(&mut self, by: By, who: Who, grant: Grant, return_link: bool) -> Expected {
        self.admit(by)?;
        self.check_grant(grant)?;
        self.check_open()?;
        if self.members.contains_key(&who) {
            return Err("MEMBER_EXISTS");
        }
        let now = self.now;
        let of_address = |each: &Invitation| each.who == who && each.unanswered();
        let meant = match self.invitations.iter().position(of_address) {
            Some(position) if self.invitations[position].state(now) == InvitationState::Pending => {
                return Err("INVITATION_EXISTS");
            }
            Some(expired) => {
                self.invitations[expired].version += 1;
                expired
            }
            None => {
                let (answer, answered_links) = (InvitationState::Pending, Vec::new());
                self.invitations.push(Invitation {
                    who,
                    grant,
                    by,
                    answer,
                    expires: now,
                    mails: 0,
                    version: 0,
                    answered_links,
                    links: 0,
                });
                self.invitations.len() - 1
            }
        };
        self.invitations[meant].grant = grant;
        self.invitations[meant].send(by, return_link, now);
        Ok(Told::Invitation(meant))
    }

    /// What stands against changing an unanswered invitation to a grant.
    fn check_change(&self, by: By, meant: usize, grant: Grant, etag: Etag) -> Result<(), &'static str> {
        self.admit(by)?;
        if self.invitations[meant].is_stale(etag) {
            return Err("ETAG_MISMATCH");
        }
        self.invitations[meant].check_unanswered()?;
        self.check_open()?;
        self.check_grant(grant)
    }

    fn update(&mut self, by: By, meant: usize, grant: Grant, etag: Etag) -> Expected {
        self.check_change(by, meant, grant, etag)?;
        let invitation = &mut self.invitations[meant];
        if (invitation.grant, invitation.by) != (grant, by) {
            (invitation.grant, invitation.by) = (grant, by);
            invitation.version += 1;
        }
        Ok(Told::Invitation(meant))
    }

    fn resend(&mut self, by: By, meant: usize, etag: Etag, return_link: bool) -> Expected {
        self.check_change(by, meant, self.invitations[meant].grant, etag)?;
        let now = self.now;
        self.invitations[meant].version += 1;
        self.invitations[meant].send(by, return_link, now);
        Ok(Told::Invitation(meant))
    }

    fn withdraw(&mut self, by: By, meant: usize, etag: Etag) -> Expected {
        self.admit(by)?;
        let invitation = &mut self.invitations[meant];
        if invitation.answer == InvitationState::Withdrawn {
            return Ok(Told::Invitation(meant));
        }
        if invitation.is_stale(etag) {
            return Err("ETAG_MISMATCH");
        }
        invitation.check_unanswered()?;
        invitation.answer = InvitationState::Withdrawn;
        invitation.version += 1;
        Ok(Told::Invitation(meant))
    }

    /// Whether an invitation is somebody's to answer, by the name that they give it.
    fn check_own(&self, who: Who, meant: usize, named: Named) -> Result<(), &'static str> {
        let invitation = &self.invitations[meant];
        match invitation.named(named) {
            Named::OldLink => Err("LINK_INVALID"),
            Named::Id if invitation.who != who => Err("ACCESS_DENIED"),
            Named::Link if invitation.who != who => Err("INVITATION_FOR_ANOTHER_ADDRESS"),
            Named::Id | Named::Link => Ok(()),
        }
    }

    fn accept(&mut self, who: Who, meant: usize, named: Named, etag: Etag) -> Expected {
        self.check_own(who, meant, named)?;
        let invitation = &self.invitations[meant];
        if invitation.answer == InvitationState::Accepted && self.members.contains_key(&who) {
            return Ok(Told::Member(who, false));
        }
        invitation.check_unanswered()?;
        if invitation.state(self.now) == InvitationState::Expired {
            return Err("INVITATION_EXPIRED");
        }
        if invitation.is_stale(etag) {
            return Err("ETAG_MISMATCH");
        }
        if self.held(invitation) != HeldReason::Unspecified {
            return Err("INVITATION_HELD");
        }
        self.members.insert(who, invitation.grant);
        self.answer(meant, InvitationState::Accepted);
        Ok(Told::Member(who, true))
    }

    fn ignore(&mut self, who: Who, meant: usize, named: Named) -> Expected {
        self.check_own(who, meant, named)?;
        if self.invitations[meant].answer != InvitationState::Ignored {
            self.invitations[meant].check_unanswered()?;
            self.answer(meant, InvitationState::Ignored);
        }
        Ok(Told::Invitation(meant))
    }

    fn answer(&mut self, meant: usize, answer: InvitationState) {
        self.invitations[meant].answer = answer;
        self.invitations[meant].version += 1;
    }
}

/// Changes what is so outside of the invitations; none if it is so already.
fn becomes(present: &mut bool, wish: bool) -> Option<Expected> {
    (std::mem::replace(present, wish) != wish).then_some(Ok(Told::Nothing))
}
