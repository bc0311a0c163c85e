//! Against a server that runs.

use std::process::Stdio;

use futures_util::future::join_all;
use serde_json::json;
use user_management::proto::{self, Privilege, Role};

use super::lossy::losing_the_answer_after;
use super::{Said, with_ann};
use crate::acme::ACME;
use crate::client::reason;
use crate::site::{NOBODYS_TOKEN, Site};

#[tokio::test]
async fn accounts_are_created_changed_shown_and_listed() {
    let site = Site::start().await;
    let tried = site.operate("account create acme --dry-run").await;
    assert!(tried.err.contains("a dry run: nothing was changed"), "{tried:?}");
    assert!(tried.done().contains("open, without an admin"));
    assert!(site.operate("account list --json").await.json().is_empty(), "nothing was changed");

    let made = site.operate("account create acme --display-name Acme --json").await.json();
    assert_eq!(made[0]["account"]["displayName"], "Acme");
    let etag = made[0]["account"]["etag"].as_str().expect("an etag").to_owned();
    let moved = site.operate(&format!("account update acme --timezone Europe/Berlin --etag {etag}")).await.done();
    assert!(moved.contains("TIME ZONE     Europe/Berlin"), "{moved}");
    let stale = site.operate(&format!("account update acme --timezone UTC --etag {etag}")).await.refused(1);
    assert_eq!(stale, "ETAG_MISMATCH: the object changed since it was read; look at it again");
    site.operate("account create 日本 --display-name x").await.refused(2);

    let shown = site.operate("account show acme --json").await.json();
    assert_eq!(shown, site.operate("account list --json").await.json(), "a line of the list is what is shown");
    let table = site.operate("account list").await.done();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ACCOUNT  DISPLAY NAME  TIME ZONE"), "{table}");
    assert!(
        lines[1].starts_with("acme     Acme          Europe/Berlin  open, without an admin  2026-11-24T12:00:00Z"),
        "{table}"
    );
}

#[tokio::test]
async fn lists_go_on_to_their_end_or_to_the_limit() {
    let site = Site::start().await;
    let operator = site.operator().await;
    join_all((0..1003).map(|number| {
        let mut users = operator.users.clone();
        let request = proto::CreateAccountRequest { name: format!("account-{number:04}"), ..Default::default() };
        async move { users.create_account(request).await.expect("created") }
    }))
    .await;
    let all = site.operate("account list --json").await.json();
    assert_eq!(all.iter().map(|account| account["name"].as_str()).collect::<Vec<_>>().len(), 1003);
    assert!(all.is_sorted_by_key(|account| account["name"].to_string()));
    assert_eq!(site.operate("account list").await.done().lines().count(), 1004, "one heading");
    assert_eq!(site.operate("account list --limit 1002 --json").await.json().len(), 1002);
    assert_eq!(site.operate("account list --limit 2").await.done().lines().count(), 3);
}

#[tokio::test]
async fn people_are_invited_again_and_not_after_all() {
    let (site, _) = with_ann().await;
    let sent = site.operate("invite send acme bob@acme.test --privilege read-only --roles alerts,data --json").await.json();
    let invitation = &sent[0]["invitation"];
    assert_eq!(invitation["privilege"], "PRIVILEGE_READ_ONLY");
    assert_eq!(invitation["roles"], json!(["ROLE_ALERTS", "ROLE_DATA"]));
    let id = invitation["id"].as_str().expect("an id");
    let again = site.operate("invite send acme bob@acme.test --privilege normal").await.refused(1);
    assert_eq!(again, format!("INVITATION_EXISTS: the address has a pending invitation, {id}; `invite resend` sends it again"));
    let member = site.operate("invite send acme ann@acme.test --privilege normal").await.refused(1);
    assert!(member.starts_with("MEMBER_EXISTS: "), "{member}");

    assert!(site.operate(&format!("invite resend acme {id}")).await.done().contains("MAILS       2"));
    assert!(site.operate(&format!("invite show acme {id}")).await.done().contains("PRIVILEGE   read-only"));
    assert_eq!(site.operate("invite list acme --json").await.json().len(), 1);
    let unasked = site.operate(&format!("invite withdraw acme {id}")).await.refused(1);
    assert!(unasked.contains("--yes"), "{unasked}");
    site.operate(&format!("invite withdraw acme {id} --dry-run")).await.done();
    assert_eq!(site.operate("invite list acme --json").await.json().len(), 1, "nothing was changed");
    assert!(site.operate(&format!("invite withdraw acme {id} --yes")).await.done().contains("withdrawn"));
    assert!(site.operate("invite list acme --json").await.json().is_empty());
    let past = site.operate("invite list acme --state withdrawn,accepted --json").await.json();
    assert_eq!(past.len(), 2);
}

#[tokio::test]
async fn a_link_into_an_account_is_printed_alone_where_a_site_has_no_mail() {
    let (site, _) = with_ann().await;
    site.mails_settled().await;
    let mails = site.operate("mail list --json").await.json().len();
    let sent = site.operate("invite send acme bob@acme.test --privilege normal --return-link").await;
    let note = sent.err.clone();
    let link = sent.done();
    let (_, token) = link.strip_suffix('\n').expect("one line").split_once("#token=").expect("a link alone");
    let opened = site.nobody().await.preview(token).await.expect("the link opens the invitation");
    let id = &opened.id;
    assert_eq!(note, format!("user-management: the link is for {id}, ends at 2026-12-01T12:00:00Z, and was shown this once\n"));
    let again = site.operate(&format!("invite resend acme {id} --return-link --json")).await.json();
    assert_ne!(again[0]["link"]["token"].as_str(), Some(token), "a new link");
    site.nobody().await.preview(token).await.expect_err("the old one ended");
    let tried = site.operate(&format!("invite resend acme {id} --return-link --dry-run")).await;
    assert!(tried.err.contains("nothing was changed") && !tried.out.contains("#token="), "{tried:?}");
    assert_eq!(site.operate("mail list --json").await.json().len(), mails, "none was mailed");
}

#[tokio::test]
async fn what_an_invitation_offers_is_changed_and_what_is_not_named_stays() {
    let (site, _) = with_ann().await;
    let sent = site.operate("invite send acme bob@acme.test --privilege read-only --roles alerts,data --json").await.json();
    let id = sent[0]["invitation"]["id"].as_str().expect("an id").to_owned();
    let offer = async |change: &str| {
        let answer = site.operate(&format!("invite update acme {id} {change} --json")).await.json();
        (answer[0]["invitation"]["privilege"].clone(), answer[0]["invitation"]["roles"].clone())
    };
    assert_eq!(offer("--privilege normal").await, (json!("PRIVILEGE_NORMAL"), json!(["ROLE_ALERTS", "ROLE_DATA"])));
    assert_eq!(offer("--roles trending").await, (json!("PRIVILEGE_NORMAL"), json!(["ROLE_TRENDING"])));
    assert_eq!(offer("--privilege admin --roles admin").await, (json!("PRIVILEGE_ADMIN"), json!(["ROLE_ADMIN"])));
    assert_eq!(offer("--no-roles --dry-run").await, (json!("PRIVILEGE_ADMIN"), json!([])));
    let shown = site.operate(&format!("invite show acme {id} --json")).await.json();
    assert_eq!(
        (&shown[0]["roles"], &shown[0]["sendCount"]),
        (&json!(["ROLE_ADMIN"]), &json!(1)),
        "the rehearsal changed nothing"
    );

    site.operate(&format!("invite update acme {id}")).await.refused_as_usage();
    site.operate(&format!("invite update acme {id} --roles data --no-roles")).await.refused_as_usage();
    let stale = sent[0]["invitation"]["etag"].as_str().expect("an etag");
    let refused = site.operate(&format!("invite update acme {id} --no-roles --etag {stale}")).await.refused(1);
    assert_eq!(refused, "ETAG_MISMATCH: the object changed since it was read; look at it again");
    site.operate(&format!("invite withdraw acme {id} --yes")).await.done();
    let refused = site.operate(&format!("invite update acme {id} --no-roles")).await.refused(1);
    assert!(refused.starts_with("INVITATION_WITHDRAWN: "), "{refused}");
}

#[tokio::test]
async fn members_are_moved_given_roles_and_removed() {
    let (site, ann) = with_ann().await;
    site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    assert_eq!(site.operate("member list acme --json").await.json().len(), 2);
    let moved = site.operate("member move acme bob@acme.test read-only").await.done();
    assert!(moved.contains("PRIVILEGE      read-only"), "{moved}");
    assert!(moved.contains("lost           respond-to-alerts,modify-alert-rules"), "{moved}");
    let roles = site.operate("member roles acme bob@acme.test alerts trending --json").await.json();
    assert_eq!(roles[0]["effects"][0]["gained"].as_array().map(Vec::len), Some(4));
    site.operate("member roles acme bob@acme.test").await.refused_as_usage();
    site.operate("member move acme bob@acme.test normal --keep-roles").await.done();
    let widening = site.operate("member roles acme bob@acme.test --none").await.refused(1);
    assert!(widening.starts_with("ROLES_WIDEN: ") && widening.ends_with(" (--allow-widening)"), "{widening}");
    site.operate("member roles acme bob@acme.test --none --allow-widening").await.done();
    let shown = site.operate("member show acme bob@acme.test --json").await.json();
    assert_eq!(shown[0]["roles"], json!([]));

    let last = site.operate(&format!("member remove acme {} --yes", ann.id)).await.refused(1);
    assert_eq!(
        last,
        "LAST_ADMIN: acme would lose the last active member who may manage users; make somebody else an Admin first"
    );
    assert!(site.operate("member remove acme bob@acme.test").await.refused(1).starts_with("Remove bob@acme.test from acme?"));
    assert!(site.operate("member remove acme bob@acme.test --yes").await.done().contains("lost"));
    let gone = site.operate("member show acme bob@acme.test").await.refused(3);
    assert!(gone.starts_with("MEMBER_NOT_FOUND: "), "{gone}");
    assert!(site.operate("member list nowhere").await.refused(3).contains("`account list` shows all"));
}

#[tokio::test]
async fn super_admins_are_made_and_unmade_after_a_yes() {
    let (site, _) = with_ann().await;
    site.operate("super-admin grant ann@acme.test").await.refused(1);
    let made = site.operate("super-admin grant ann@acme.test --yes --json").await.json();
    assert_eq!(made[0]["user"]["superAdmin"], true);
    let unmade = site.operate("super-admin revoke ann@acme.test --yes").await.done();
    assert!(unmade.contains("SUPER-ADMIN  no") && !unmade.contains("lost"), "an admin of the only account: {unmade}");
    site.account("other").await;
    site.account("third").await;
    site.member(ACME, "bob@acme.test", Privilege::ReadOnly, &[Role::Alerts, Role::Data, Role::Trending]).await;
    let tried = site.operate("super-admin grant bob@acme.test --dry-run").await.done();
    let gained = ["gained       manage-users in acme", "gained       everything in 2 other accounts"];
    assert_eq!(tried.lines().filter(|line| line.starts_with("gained")).collect::<Vec<_>>(), gained);
    assert!(site.operate("super-admin revoke eve@acme.test --yes").await.refused(3).starts_with("USER_NOT_FOUND: "));
}

#[tokio::test]
async fn logins_are_made_taken_away_given_back_and_deleted() {
    let (site, _) = with_ann().await;
    let link = site.operate("user create bob@acme.test Bob --return-link").await.done();
    let token = link.trim_end().split_once("#token=").expect("a link alone").1.to_owned();
    site.nobody().await.reset(&token, "purple otters sing badly").await.expect("the link sets the password");
    let listed = site.operate("user list --email bob --json").await.json();
    assert_eq!((listed.len(), &listed[0]["email"]), (1, &json!("bob@acme.test")));
    assert!(site.operate("user deactivate ann@acme.test --yes").await.refused(1).starts_with("LAST_ADMIN: "));
    site.operate("user deactivate ann@acme.test").await.refused(1);
    let left = site.operate("user deactivate ann@acme.test --leave-without-admin --yes").await;
    assert!(left.err.contains("without an admin now: acme"), "{left:?}");
    let everything = "view,manage-users,respond-to-alerts,modify-alert-rules,modify-checks,modify-templates,modify-graphs,\
                      modify-worksheets in acme";
    let left = left.done();
    assert!(left.contains("deactivated") && left.contains(&format!("lost         {everything}\n")), "{left}");
    let tried = site.operate("user reactivate ann@acme.test --dry-run").await.done();
    let given = site.operate("user reactivate ann@acme.test").await.done();
    assert!(given.contains("active") && given.contains(&format!("gained       {everything}\n")), "{given}");
    assert_eq!(tried, given);
    let again = site.operate("user reactivate ann@acme.test --json").await.json();
    assert_eq!((&again[0]["effects"], &again[0]["otherAccounts"]), (&json!([]), &json!("0")));
    site.operate("user revoke-sessions ann@acme.test --yes").await.done();
    site.operate("user reset-password ann@acme.test").await.done();
    site.operate("user delete bob@acme.test --yes").await.done();
    assert!(site.operate("user show bob@acme.test").await.refused(3).starts_with("USER_NOT_FOUND: "));
    assert!(site.operate("account close acme --yes").await.done().contains("closed"));
    assert!(site.operate("account reopen acme").await.done().contains("open"));
}

#[tokio::test]
async fn another_edition_is_previewed_with_who_gains_and_loses_in_all() {
    let (site, ann) = with_ann().await;
    site.account("other").await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::ReadOnly, &[Role::Data]).await;
    site.join("other", &bob, Privilege::Normal, &[Role::Data]).await;
    site.invited("other", "eve@acme.test", Privilege::Normal, &[Role::Data]).await;
    let preview = async |flags: &str| {
        let said = site.operate(&format!("edition preview {flags}")).await;
        (said.err.trim_end().to_owned(), said.done())
    };
    let counted = "user-management: accounts touched: 2; members gaining: 1, losing: 1; tokens gaining: 0, losing: 0";
    let (told, listed) = preview("").await;
    assert_eq!(told, format!("{counted}; invitations held or opened: 1"));
    assert_eq!(listed.lines().count(), 4, "two memberships and the invitation: {listed}");
    assert!(!listed.contains(&ann.id) && listed.contains("becomes held: role-off-in-edition"), "{listed}");
    let (told, listed) = preview("--limit 1").await;
    assert_eq!((told.as_str(), listed.lines().count()), (counted, 2), "of all, however much is listed");
    let (told, listed) = preview("--account acme --json").await;
    assert_eq!(
        told,
        "user-management: accounts touched: 1; members gaining: 0, losing: 1; tokens gaining: 0, losing: 0; invitations held or opened: 0"
    );
    assert_eq!(listed.lines().count(), 1);
}

#[tokio::test]
async fn a_service_gets_its_token_once_and_alone() {
    let (site, _) = with_ann().await;
    let made = site.operate("service create tool --scopes users.read,access.check --expires 2030-01-31T00:00:00Z").await;
    assert!(!made.err.contains("svc_KF") && made.err.contains("tool is svc_"), "{made:?}");
    let token = made.done();
    let mut tool = site.bearer(token.strip_suffix('\n').expect("one line")).await;
    tool.users.list_accounts(proto::ListAccountsRequest::default()).await.expect("the token counts");
    site.operate("service create tool --scopes users.destroy").await.refused_as_usage();
    // an empty variable of a script would have made one with a token, and one for all accounts
    for empty in ["--certificate-name=", "--account="] {
        site.operate(&format!("service create other --scopes users.read {empty}")).await.refused_as_usage();
    }
    assert!(site.operate("service create tool --scopes users.read").await.refused(1).starts_with("SERVICE_EXISTS: "));

    let listed = site.operate("service list --json").await.json();
    assert_eq!(listed[0]["expireTime"], "2030-01-31T00:00:00Z");
    let id = listed[0]["id"].as_str().expect("an id");
    site.operate(&format!("service revoke {id}")).await.refused(1);
    assert!(site.operate(&format!("service revoke {id} --yes")).await.done().contains("revoked"));
    tool.users.list_accounts(proto::ListAccountsRequest::default()).await.expect_err("the token ended");
}

#[tokio::test]
async fn leaked_tokens_are_found_in_any_text_ended_and_told_by_whose_they_were() {
    let (site, ann) = with_ann().await;
    let personal = site.api_token_named(&ann, ACME, "nightly").await;
    let service = site.service("tool", &["users.read"], "").await;
    let text = format!("GET /?key={personal} 200\n{service}{service} {NOBODYS_TOKEN}\n{}\n", ann.token);
    let begins = |token: &str| format!("{}…", &token[..12]);
    let unasked = site.operate_on(&text, "token revoke -").await.refused(1);
    assert!(unasked.contains("Revoke 4 tokens?") && unasked.contains("--yes"), "{unasked}");
    for (flag, ended) in [("--dry-run", "would end"), ("--yes", "ended")] {
        assert_eq!(site.bearer(&personal).await.me().await.expect("it counts").email, ann.email);
        let said = site.operate_on(&text, &format!("token revoke - {flag}")).await;
        let remarks: Vec<&str> = said.err.lines().map(|line| line.trim_start_matches("user-management: ")).collect();
        assert_eq!(remarks[0], format!("3 {ended}, 0 had ended before, 1 not known here"));
        assert_eq!(remarks[1..], ["a dry run: nothing was changed"][..usize::from(flag == "--dry-run")]);
        let table = said.done();
        let line = |token: &str| table.lines().find(|line| line.starts_with(&begins(token))).unwrap_or_else(|| panic!("{table}"));
        assert_eq!(table.lines().count(), 5, "{table}");
        assert!(
            line(&personal).contains("tok_")
                && line(&personal).contains("ann@acme.test  nightly  acme     live  2026-11-24T12:00:00Z"),
            "{table}"
        );
        assert!(line(&service).contains("svc_") && line(&service).contains("tool"), "{table}");
        assert!(line(&ann.token).contains("sid_") && line(&ann.token).contains("ann@acme.test"), "{table}");
        assert!(line(NOBODYS_TOKEN).contains("not known here"), "{table}");
        assert!([&personal, &service, &ann.token].iter().all(|token| !table.contains(token.as_str())), "no token is shown");
    }
    for token in [&personal, &service, &ann.token] {
        assert_eq!(reason(&site.bearer(token).await.me().await.expect_err("it ended")), "CREDENTIALS_INVALID");
    }
    let again = site.operate_on(&text, "token revoke - --yes --json").await.json();
    let told: Vec<_> = again.iter().map(|told| (&told["token"], &told["apiToken"]["revoked"], &told["user"]["email"])).collect();
    assert!(told.contains(&(&json!(begins(&personal)), &json!(true), &json!("ann@acme.test"))), "{told:?}");
    let unknown = again.iter().find(|told| told["token"] == begins(NOBODYS_TOKEN)).expect("told of");
    assert_eq!(unknown["error"]["reason"], "TOKEN_NOT_FOUND");
    assert!(again.iter().all(|told| told["wasLive"] != true), "{again:?}");
    let others = site.operate_on(NOBODYS_TOKEN, "token revoke - --yes").await;
    assert!(others.code == Some(3) && others.err.ends_with("user-management: no token in it is known here\n"), "{others:?}");
    let mistaken = site.operate(&format!("token revoke {personal} --yes")).await.refused(2);
    assert!(mistaken.starts_with(&begins(&personal)) && !mistaken.contains(&personal[12..]), "{mistaken}");
    let none = site.operate_on("pat_1234 is none", "token revoke - --yes").await.refused(2);
    assert!(none.starts_with("standard input: holds no token"), "{none}");
    let missing = site.operate("token revoke no-such-file").await.refused(2);
    assert!(missing.starts_with("no-such-file: can't be read"), "{missing}");
}

#[tokio::test]
async fn leaked_tokens_end_though_nobody_reads_what_they_were() {
    let site = Site::start().await;
    for (round, code) in [("gone", Some(0)), ("full", Some(1))] {
        let mut tokens = Vec::new();
        for number in 0..3 {
            tokens.push(site.service(&format!("{round}-{number}"), &["users.read"], "").await);
        }
        let list = site.data_dir().join(round);
        std::fs::write(&list, tokens.join("\n")).expect("written");
        let mut command = site.command(&format!("token revoke {} --yes", list.display()));
        if round == "gone" {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            command.stdout(writer);
        } else {
            command.stdout(std::fs::File::options().write(true).open("/dev/full").expect("opened"));
        }
        let said = tokio::task::spawn_blocking(move || command.stderr(Stdio::piped()).output()).await.expect("it ends");
        let said = Said::of(said.expect("it starts"));
        assert!(said.code == code && said.err.contains("3 ended, 0 had ended before, 0 not known here"), "{said:?}");
        for token in &tokens {
            assert_eq!(reason(&site.bearer(token).await.me().await.expect_err("it ended")), "CREDENTIALS_INVALID");
        }
    }
}

#[tokio::test]
async fn history_mail_and_rights_are_shown() {
    let (site, ann) = with_ann().await;
    site.mails_settled().await;
    let all = site.operate("events list --json").await.json();
    assert_eq!(all.last().map(|event| &event["kind"]), Some(&json!("EVENT_KIND_EDITION_SET")));
    let of_acme = site.operate("events list --account acme").await.done();
    assert!(of_acme.contains("member-joined") && !of_acme.contains("edition-set"), "{of_acme}");
    let verified = site.operate("events verify").await.done();
    let line = format!("whole: {} events, each as it was recorded\nhead: epo_", all.len());
    assert!(verified.starts_with(&line), "{verified}");

    let sent = site.operate("mail list --state sent --json").await.json();
    assert!(site.operate("mail list").await.done().contains("ann@acme.test"));
    let retried = site.operate(&format!("mail retry {}", sent[0]["id"].as_str().expect("an id"))).await.refused(1);
    assert!(retried.starts_with("MAIL_NOT_RETRYABLE: "), "{retried}");

    assert_eq!(site.operate("check acme ann@acme.test manage-users").await.done(), "allowed by the privilege admin\n");
    site.operate("member move acme ann@acme.test admin").await.done();
    let bob = site.member(ACME, "bob@acme.test", Privilege::ReadOnly, &[]).await;
    let no = site.operate(&format!("check acme {} modify-graphs", bob.id)).await;
    assert_eq!(
        (no.code, no.out.as_str()),
        (Some(1), "denied: privilege-too-low; allowed with the role trending or the privilege normal or the privilege admin\n"),
        "{no:?}"
    );
    let told = site.operate(&format!("check acme {} view --json", ann.id)).await.json();
    assert_eq!(told[0]["reason"], "ACCESS_REASON_GRANTED");
    site.operate(&format!("member roles acme {} alerts", bob.id)).await.done();
    let all = site.operate("check acme bob@acme.test").await.done();
    assert_eq!(all, "view\nrespond-to-alerts\nmodify-alert-rules\n");
    site.operate("member remove acme bob@acme.test --yes").await.done();
    let none = site.operate("check acme bob@acme.test").await;
    assert_eq!((none.code, none.out.as_str()), (Some(1), "denied: not-a-member\n"), "{none:?}");
}

#[tokio::test]
async fn status_says_in_one_screen_whether_all_is_well() {
    let (site, _) = with_ann().await;
    site.mails_settled().await;
    let screen = site.operate("status --verify").await.done();
    for line in
        ["server      serving", "edition     inside", "accounts    1, 0 without an admin", "services    0", "history     whole: "]
    {
        assert!(screen.lines().any(|told| told.starts_with(line)), "{line}\n{screen}");
    }
    assert!(screen.ends_with("\nall is well\n") && screen.lines().count() < 24, "{screen}");
    site.underneath("update events set hash = zeroblob(32) where seq = 3").await;
    let broken = site.operate("status --verify --json").await;
    assert_eq!(broken.code, Some(1), "{broken:?}");
    let broken: serde_json::Value = serde_json::from_str(&broken.out).expect("JSON");
    assert_eq!(broken["history"]["firstBroken"], "3");
    assert_eq!(broken["attention"].as_array().map(Vec::len), Some(1));
    assert_eq!(site.operate("events verify").await.code, Some(1));
}

#[tokio::test]
async fn wrong_arguments_are_usage_and_wrong_fields_a_line_each() {
    let (site, _) = with_ann().await;
    site.operate("member move acme ann@acme.test readonly").await.refused_as_usage();
    site.operate("account list --limit 0").await.refused_as_usage();
    assert_eq!(site.operate("account list --edition saas").await.refused(2), "--edition and --listen are for serving");
    let wrong = site.operate("account create -- A --timezone Nowhere").await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let wrong = site.operate("account create A_ --timezone Nowhere --display-name x").await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let begins: Vec<&str> = wrong.err.lines().map(|line| line.split(": ").nth(1).expect("a field")).collect();
    assert_eq!(begins, ["name", "timezone"], "{wrong:?}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let (site, _) = with_ann().await;
    for line in ["events list", "events list --json", "account show acme", "status", "check-config", "man", "completions bash"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = site.command(line);
        command.stdout(writer).stderr(Stdio::piped());
        let said = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it starts");
        let said = Said::of(said);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_the_change_is_done_once() {
    let site = Site::start().await;
    let (lossy, relay) = losing_the_answer_after(&site, 0);
    let line = format!("account create acme --socket {}", lossy.display());
    assert!(site.operate(&line).await.done().contains("acme"));
    relay.join().expect("it relayed");
    assert_eq!(site.operate("account list --json").await.json().len(), 1);
}

#[tokio::test]
async fn a_link_whose_answer_was_lost_is_not_shown_and_another_can_be_had() {
    let (site, _) = with_ann().await;
    let (lossy, relay) = losing_the_answer_after(&site, 0);
    let command = format!("invite send acme bob@acme.test --privilege normal --return-link --socket {}", lossy.display());
    let lost = site.operate(&command).await.refused(1);
    relay.join().expect("it relayed");
    let invited = site.operate("invite list acme --json").await.json();
    let id = invited[0]["id"].as_str().expect("an id");
    assert_eq!(lost, format!("a link was made for {id}, but the answer with it was lost: ask for another"));
    let link = site.operate(&format!("invite resend acme {id} --return-link")).await.done();
    let (_, token) = link.trim_end().split_once("#token=").expect("a link alone");
    site.nobody().await.preview(token).await.expect("the link opens the invitation");
}
