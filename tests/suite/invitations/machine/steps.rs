//! What can be done with invitations, and around them; and what is tried of it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use user_management::proto::{Privilege, Role};

/// Steps of a play at most, or scenes of a few.
const STEPS: usize = 50;

/// Who makes, changes and takes back invitations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Operator,
    /// An Admin who loses the right and regains it.
    Ann,
    /// An Admin who keeps it.
    Bea,
    /// A service that is revoked at some time.
    Tool,
    ToolForAnn,
}

/// Who is invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Cy,
    Dee,
}

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) privilege: Privilege,
    pub(super) role: Option<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Etag {
    Absent,
    Present,
    /// One that was answered before the last change, if there was one.
    Stale,
}

/// How the invited person names the invitation; by its id where there is no such link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Id,
    /// The newest link, if it was answered instead of mailed.
    Link,
    /// A link that was answered and replaced since.
    OldLink,
}

/// One step. An invitation is named by how many were made after it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Invite { by: By, who: Who, grant: Grant, return_link: bool },
    Update { by: By, back: usize, grant: Grant, etag: Etag },
    Resend { by: By, back: usize, etag: Etag, return_link: bool },
    Withdraw { by: By, back: usize, etag: Etag },
    Accept { stranger: bool, back: usize, named: Named, etag: Etag },
    Ignore { stranger: bool, back: usize, named: Named },
    Remove { who: Who },
    Pass { hours: u32 },
    LetAnnManage(bool),
    OpenAccount(bool),
    RevokeTool,
    SwitchTo { saas: bool },
}

/// Steps taken at random.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let by = prop_oneof![
        2 => Just(By::Operator),
        4 => Just(By::Ann),
        2 => Just(By::Bea),
        1 => Just(By::Tool),
        1 => Just(By::ToolForAnn),
    ];
    let role = prop_oneof![1 => Just(None), 2 => Just(Some(Role::Alerts)), 1 => Just(Some(Role::Admin))];
    let privilege = select(vec![Privilege::Admin, Privilege::Normal, Privilege::ReadOnly]);
    let grant = (privilege, role).prop_map(|(privilege, role)| Grant { privilege, role });
    let etag = prop_oneof![3 => Just(Etag::Absent), 2 => Just(Etag::Present), 1 => Just(Etag::Stale)];
    let named = prop_oneof![3 => Just(Named::Id), 2 => Just(Named::Link), 2 => Just(Named::OldLink)];
    let who = select(vec![Who::Cy, Who::Dee]);
    let stranger = often(1, 7);
    // mostly the newest
    let back = prop_oneof![6 => Just(0_usize), 2 => Just(1), 1 => 2_usize..5];
    // an hour short of a lifetime, the hour that is missing then, a whole lifetime
    let hours = select(vec![1_u32, 24 * 7 - 1, 24 * 7]);
    let invite = (by.clone(), who.clone(), grant.clone(), often(2, 1));
    let update = (by.clone(), back.clone(), grant.clone(), etag.clone());
    let resend = (by.clone(), back.clone(), etag.clone(), often(2, 1));
    let withdraw = (by, back.clone(), etag.clone());
    let accept = (stranger.clone(), back.clone(), named.clone(), etag);
    let ignore = (stranger, back, named);
    let held = prop_oneof![
        3 => Just(Step::LetAnnManage(false)),
        2 => Just(Step::OpenAccount(false)),
        2 => Just(Step::RevokeTool),
        2 => Just(Step::SwitchTo { saas: true }),
    ];
    let next = prop_oneof![
        3 => Just(Step::Accept { stranger: false, back: 0, named: Named::Id, etag: Etag::Absent }),
        1 => Just(Step::Resend { by: By::Operator, back: 0, etag: Etag::Absent, return_link: true }),
        1 => grant.clone().prop_map(|grant| Step::Update { by: By::Operator, back: 0, grant, etag: Etag::Absent }),
    ];
    // seldom enough by chance: something is done about what is held before anything else becomes of it
    let scene = (invite.clone(), held, next)
        .prop_map(|((by, who, grant, return_link), held, next)| vec![Step::Invite { by, who, grant, return_link }, held, next]);
    let step = prop_oneof![
        400 => invite.prop_map(|(by, who, grant, return_link)| Step::Invite { by, who, grant, return_link }),
        250 => update.prop_map(|(by, back, grant, etag)| Step::Update { by, back, grant, etag }),
        200 => resend.prop_map(|(by, back, etag, return_link)| Step::Resend { by, back, etag, return_link }),
        160 => withdraw.prop_map(|(by, back, etag)| Step::Withdraw { by, back, etag }),
        300 => accept.prop_map(|(stranger, back, named, etag)| Step::Accept { stranger, back, named, etag }),
        100 => ignore.prop_map(|(stranger, back, named)| Step::Ignore { stranger, back, named }),
        250 => who.prop_map(|who| Step::Remove { who }),
        150 => hours.prop_map(|hours| Step::Pass { hours }),
        300 => often(2, 1).prop_map(Step::LetAnnManage),
        200 => often(3, 1).prop_map(Step::OpenAccount),
        50 => Just(Step::RevokeTool),
        // which takes a restart
        50 => any::<bool>().prop_map(|saas| Step::SwitchTo { saas }),
    ];
    let scene = prop_oneof![10 => step.prop_map(|step| vec![step]), 1 => scene];
    vec(scene, 1..=STEPS).prop_map(|scenes| scenes.concat())
}

/// True so often, and false so often.
fn often(yes: u32, no: u32) -> impl Strategy<Value = bool> + Clone {
    prop_oneof![yes => Just(true), no => Just(false)]
}
