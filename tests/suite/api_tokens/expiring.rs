//! How long a token counts, when it was used, and the one event before it expires.

use std::time::Duration;

use user_management::proto::{self, EventKind, Privilege};

use super::{DAY, MOMENT, asked};
use crate::acme::ACME;
use crate::client::violations;
use crate::site::{BEGINNING, Site};

fn at(moment: user_management::domain::clock::Timestamp) -> prost_types::Timestamp {
    let micros = moment.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).expect("less than a second");
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

#[tokio::test]
async fn a_token_counts_for_ninety_days_or_as_long_as_was_asked_for_up_to_a_year() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let plain = as_ann.create_api_token(asked(ACME)).await.expect("made");
    assert_eq!(plain.api_token.expect("what was made").expire_time, Some(at(BEGINNING.plus(90 * DAY))));
    let until = |expire_time| proto::CreateApiTokenRequest { expire_time, ..asked(ACME) };
    let longest = as_ann.create_api_token(until(Some(at(BEGINNING.plus(365 * DAY))))).await.expect("made").token;
    for wrong in [BEGINNING, BEGINNING.minus(MOMENT), BEGINNING.plus(365 * DAY).plus(MOMENT)] {
        let refused = as_ann.create_api_token(until(Some(at(wrong)))).await.expect_err("refused");
        assert_eq!(violations(&refused), ["expire_time"]);
    }
    site.clock.advance((90 * DAY).saturating_sub(MOMENT));
    assert!(site.holds(&plain.token, ACME).await);
    site.clock.advance(MOMENT);
    assert!(!site.holds(&plain.token, ACME).await);
    site.clock.advance((275 * DAY).saturating_sub(MOMENT));
    assert!(site.holds(&longest, ACME).await);
    site.clock.advance(MOMENT);
    assert!(!site.holds(&longest, ACME).await);
}

#[tokio::test]
async fn an_expired_token_is_listed_for_thirty_days_and_then_forgotten() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    site.clock.advance(120 * DAY);
    for listed in [1, 0] {
        site.app().purge().await;
        for _ in 0..2 {
            let ann = site.sign_in(&ann.email).await;
            assert_eq!(site.bearer(&ann.token).await.api_tokens().await.len(), listed);
            assert!(!site.holds(&token, ACME).await);
            site.restart(None).await;
        }
        site.clock.advance(MOMENT);
    }
}

#[tokio::test]
async fn the_last_use_of_a_token_is_shown_at_once_and_survives_a_restart() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let token = site.api_token(&ann, ACME, None).await;
    let mut as_ann = site.bearer(&ann.token).await;
    assert_eq!(as_ann.api_tokens().await[0].last_used_time, None);
    site.clock.advance(Duration::from_mins(1));
    site.bearer(&token).await.me().await.expect("it counts");
    let used = Some(at(BEGINNING.plus(Duration::from_mins(1))));
    assert_eq!(as_ann.api_tokens().await[0].last_used_time, used);
    for minute in 1..5 {
        site.app().keep_house_in(minute).await;
    }
    let copy = site.after_a_crash().await;
    assert_eq!(copy.bearer(&ann.token).await.api_tokens().await[0].last_used_time, None, "it wasn't written down yet");
    site.app().keep_house_in(5).await;
    let copy = site.after_a_crash().await;
    assert_eq!(copy.bearer(&ann.token).await.api_tokens().await[0].last_used_time, used);
    site.clock.advance(Duration::from_mins(1));
    assert!(site.holds(&token, ACME).await, "a check by a tool is a use too");
    site.restart(None).await;
    let used = Some(at(BEGINNING.plus(Duration::from_mins(2))));
    assert_eq!(site.bearer(&ann.token).await.api_tokens().await[0].last_used_time, used, "stopping writes it down");
}

#[tokio::test]
async fn that_a_token_expires_soon_is_told_once_restart_or_not() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let made = as_ann.create_api_token(asked(ACME)).await.expect("made").api_token.expect("what was made");
    let ended = as_ann.create_api_token(asked(ACME)).await.expect("made").api_token.expect("what was made");
    as_ann.revoke_api_token(&ended.id).await.expect("revoked");
    let service = |name: &str, expire_time| proto::CreateServiceRequest {
        name: name.to_owned(),
        scopes: vec!["access.check".to_owned()],
        account: ACME.to_owned(),
        expire_time,
        ..Default::default()
    };
    let mut operator = site.operator().await;
    let dated = service("dated", Some(at(BEGINNING.plus(90 * DAY))));
    let dated = operator.operations.create_service(dated).await.expect("made").into_inner().service.expect("a service");
    operator.operations.create_service(service("undated", None)).await.expect("made");
    site.clock.advance((76 * DAY).saturating_sub(MOMENT));
    site.app().tell_expiring().await;
    let seq = site.app().view().seq();
    assert_eq!(told(&site, 0).await, []);
    site.clock.advance(MOMENT);
    for _ in 0..3 {
        site.app().tell_expiring().await;
        site.restart(None).await;
        site.app().tell_expiring().await;
        site.clock.advance(DAY);
    }
    let events = told(&site, seq).await;
    assert_eq!(events.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>(), [dated.id.as_str(), made.id.as_str()]);
    let [service, token] = &events[..] else { unreachable!("two") };
    assert_eq!((service.kind(), token.kind()), (EventKind::ServiceExpiring, EventKind::ApiTokenExpiring));
    assert_eq!((service.display_name.as_str(), token.display_name.as_str()), ("dated", "backup"));
    assert_eq!((token.user.as_str(), token.account.as_str(), token.actor.as_str()), (ann.id.as_str(), ACME, "server"));
    assert_eq!((service.expire_time, token.expire_time), (dated.expire_time, made.expire_time));
    // an account's managers see it among its events
    let ann = site.sign_in(&ann.email).await;
    let request = proto::ListEventsRequest {
        account: ACME.to_owned(),
        kinds: vec![EventKind::ApiTokenExpiring.into(), EventKind::ServiceExpiring.into()],
        ..Default::default()
    };
    let seen = site.bearer(&ann.token).await.operations.list_events(request).await.expect("she may").into_inner().events;
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn each_hour_what_expires_soon_is_told_and_what_ended_is_forgotten() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.api_token(&ann, ACME, None).await;
    site.clock.advance(76 * DAY);
    for (minute, count) in [(59, 0), (60, 1), (61, 1), (120, 1)] {
        site.app().keep_house_in(minute).await;
        assert_eq!(told(&site, 0).await.len(), count, "in minute {minute}");
    }
    site.clock.advance((44 * DAY).saturating_add(MOMENT));
    let ann = site.sign_in(&ann.email).await;
    for (minute, count) in [(179, 1), (180, 0)] {
        site.app().keep_house_in(minute).await;
        assert_eq!(site.bearer(&ann.token).await.api_tokens().await.len(), count, "in minute {minute}");
    }
}

async fn told(site: &Site, seq: u64) -> Vec<proto::Event> {
    let mut events = site.operator().await.events_after(seq).await;
    events.retain(|event| [EventKind::ServiceExpiring, EventKind::ApiTokenExpiring].contains(&event.kind()));
    events
}
