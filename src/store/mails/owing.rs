//! Putting mails into the outbox: due now, or when less has gone to their recipient.

use crate::domain::error::Error;
use crate::domain::id::{AddressId, ApiTokenId, InvitationId, LoginLinkId, MailId, SignUpId, UserId};
use crate::store::{Tx, hex};

use super::Kind;

/// What a mail to be owed is about.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// An address alone.
    Address,
    /// The invitation whose link it carries, and the user whose name it tells as the grantor's.
    Invitation(InvitationId, Option<UserId>),
    /// The sign-up that it follows.
    SignUp(SignUpId),
    /// The link that it carries.
    Link(LoginLinkId, UserId),
    /// The personal token that it tells of, and whose it is.
    ApiToken(ApiTokenId, UserId),
    /// The user whom it tells something.
    User(UserId),
}

/// A mail to be owed.
#[derive(Clone, Copy, Debug)]
pub struct Owed<'a> {
    /// What it is for.
    pub kind: Kind,
    /// What it is about.
    pub about: About,
    /// Where it goes.
    pub address: AddressId,
    /// The address as it was typed.
    pub recipient: &'a str,
}

/// How many mails go to one recipient before others are put off; zero is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In an hour.
    pub per_hour: u32,
    /// In a day.
    pub per_day: u32,
}

const HOUR: i64 = 60 * 60 * 1_000_000;
const DAY: i64 = 24 * HOUR;

/// How long a mail waits at most, as long as few go before the pace lets them.
const LONGEST: i64 = DAY / 2;
/// How many are no longer few. Each is about something else: who asks again for the same adds none.
const WAITING: i64 = 20;

/// Puts a mail into the outbox, due now.
pub async fn owe(tx: &mut Tx, id: MailId, mail: Owed<'_>) -> Result<(), Error> {
    owe_all(tx, &[(id, mail)], None).await
}

/// Puts a mail into the outbox that its recipient may not want: due when the pace lets it go.
pub async fn owe_paced(tx: &mut Tx, id: MailId, mail: Owed<'_>, pace: Option<Pace>) -> Result<(), Error> {
    owe_all(tx, &[(id, mail)], pace).await
}

/// Puts mails to different recipients into the outbox. With a pace, each goes when enough of those that went to its recipient by a pace are
/// old enough, and counts from then on; one that waits so already makes way for a newer one of its kind about the same.
///
/// It goes within half a day all the same, or whoever causes much would keep others' mail back for weeks, and links end meanwhile; unless
/// twenty are to go so already, or many who cause a mail each would flood their recipient. Sign-ups (kind 2), which strangers make, are twenty of
/// their own. A reset (kind 4) goes when the last one to its recipient is an hour old at the latest: strangers who ask for many keep nobody from theirs.
pub async fn owe_all(tx: &mut Tx, mails: &[(MailId, Owed<'_>)], pace: Option<Pace>) -> Result<(), Error> {
    if mails.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(&mails.iter().map(row).collect::<Vec<_>>()).map_err(Error::internal)?;
    if pace.is_some() {
        make_way(tx, &rows).await?;
    }
    let (now, paced) = (tx.now(), pace.is_some());
    let pace = pace.unwrap_or(Pace { per_hour: 0, per_day: 0 });
    // the so many-th newest, if there is a limit
    let (hourly, daily) = (i64::from(pace.per_hour > 0), i64::from(pace.per_day > 0));
    let (hour_ago, day_ago) = (i64::from(pace.per_hour) - hourly, i64::from(pace.per_day) - daily);
    sqlx::query!(
        "insert into mails (id, kind, invitation, sign_up, link, user, address, recipient, api_token, created, planned, due, last_reply)
         select id, kind, invitation, sign_up, link, user, address, recipient, api_token, ?1, iif(?2, slot, null), slot,
                iif(slot > ?1, 'put off, since much went to this address lately', '')
           from (select unhex(value ->> 0) as id, value ->> 1 as kind, unhex(value ->> 2) as invitation, unhex(value ->> 3) as sign_up,
                        unhex(value ->> 4) as link, unhex(value ->> 5) as user, unhex(value ->> 6) as address, value ->> 7 as recipient,
                        unhex(value ->> 8) as api_token,
                        min(iif((select count(*) from mails m
                                  where m.address = unhex(value ->> 6) and m.planned > ?1 and m.planned = m.created + ?11
                                    and (m.kind = 2) = (value ->> 1 = 2)) < ?10,
                                ?1 + ?11, 9223372036854775807),
                            max(?1,
                            coalesce((select m.planned + ?3 from mails m where m.address = unhex(value ->> 6) and m.planned is not null
                                       order by m.planned desc limit ?4 offset ?5), ?1),
                            coalesce((select m.planned + ?6 from mails m where m.address = unhex(value ->> 6) and m.planned is not null
                                       order by m.planned desc limit ?7 offset ?8), ?1)),
                            iif(value ->> 1 = 4,
                                coalesce((select max(m.planned) + ?3 from mails m
                                           where m.address = unhex(value ->> 6) and m.planned > ?1 - ?3 and m.kind = 4), ?1),
                                9223372036854775807)) as slot
                   from json_each(?9))",
        now,
        paced,
        HOUR,
        hourly,
        hour_ago,
        DAY,
        daily,
        day_ago,
        rows,
        WAITING,
        LONGEST
    )
    .execute(tx.sql())
    .await?;
    tx.owe_mail();
    Ok(())
}

/// What of a mail is put into its row: ids as hexadecimal texts.
type Row<'a> = (String, i64, Option<String>, Option<String>, Option<String>, Option<String>, String, &'a str, Option<String>);

fn row<'a>((id, mail): &(MailId, Owed<'a>)) -> Row<'a> {
    let (invitation, sign_up, link, api_token, user) = match mail.about {
        About::Address => (None, None, None, None, None),
        About::Invitation(invitation, grantor) => (Some(hex(invitation.as_bytes())), None, None, None, grantor),
        About::SignUp(sign_up) => (None, Some(hex(sign_up.as_bytes())), None, None, None),
        About::Link(link, user) => (None, None, Some(hex(link.as_bytes())), None, Some(user)),
        About::ApiToken(api_token, user) => (None, None, None, Some(hex(api_token.as_bytes())), Some(user)),
        About::User(user) => (None, None, None, None, Some(user)),
    };
    let user = user.map(|user| hex(user.as_bytes()));
    (
        hex(id.as_bytes()),
        mail.kind as i64,
        invitation,
        sign_up,
        link,
        user,
        hex(mail.address.as_bytes()),
        mail.recipient,
        api_token,
    )
}

/// Drops what was put off and is now asked for anew: the invitation's link, the links of an address, the reset, the person's new address. Each
/// sign-up (kind 2) has a link of its own, which nobody else's sign-up may keep from its owner. What makes way takes up no place any more.
async fn make_way(tx: &mut Tx, rows: &str) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update mails set state = 5, planned = null, last_reply = 'a newer mail of its kind took its place'
          where id in (select m.id
                         from json_each(?1) cross join mails m on m.address = unhex(value ->> 6) and m.planned > ?2
                        where m.state = 1 and m.attempts = 0 and m.kind = value ->> 1 and m.kind <> 2
                          and m.invitation is unhex(value ->> 2) and (m.kind <> 6 or m.user is unhex(value ->> 5)))",
        rows,
        now
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}
