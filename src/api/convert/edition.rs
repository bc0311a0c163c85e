//! What another edition would change, in the words of the contract.

use super::{edition, held, permissions, roles};
use crate::app::edition_preview::{EditionChange, EditionPreview, MemberChange, Totals};
use crate::domain::policy::Effect;
use crate::proto;

/// One page of what another edition would change.
pub(in crate::api) fn edition_preview(preview: EditionPreview) -> proto::PreviewEditionResponse {
    proto::PreviewEditionResponse {
        edition: edition(preview.edition).into(),
        changes: preview.page.entries.into_iter().map(change).collect(),
        next_page_token: preview.page.next,
        totals: preview.totals.map(totals),
    }
}

const fn totals(totals: Totals) -> proto::EditionTotals {
    let Totals { members_gaining, members_losing, api_tokens_gaining, api_tokens_losing, accounts } = totals;
    proto::EditionTotals { members_gaining, members_losing, api_tokens_gaining, api_tokens_losing, accounts }
}

fn change(change: EditionChange) -> proto::EditionChange {
    use proto::edition_change::Of;
    match change {
        EditionChange::Member(change) => {
            proto::EditionChange { account: change.account_name.clone(), of: Some(Of::Member(member(change))) }
        }
        EditionChange::Invitation { invitation, now, then } => {
            let of = proto::EditionInvitation {
                invitation: invitation.id.to_string(),
                email: invitation.email,
                held_reason: held(now).into(),
                held_reason_then: held(then).into(),
            };
            proto::EditionChange { account: invitation.account_name, of: Some(Of::Invitation(of)) }
        }
    }
}

fn member(change: MemberChange) -> proto::EditionMember {
    let Effect { gained, lost } = change.effect;
    let effect = proto::Effect {
        user: change.user.to_string(),
        gained: permissions(gained),
        lost: permissions(lost),
        account: change.account_name,
    };
    let tokens = change.api_tokens.into_iter().map(|(id, Effect { gained, lost })| proto::EditionApiToken {
        api_token: id.to_string(),
        gained: permissions(gained),
        lost: permissions(lost),
    });
    proto::EditionMember {
        effect: Some(effect),
        falling_asleep: roles(change.falling_asleep),
        waking_up: roles(change.waking_up),
        api_tokens: tokens.collect(),
    }
}
