//! Many at once, from a list.

use std::process::Stdio;

use serde_json::{Value, json};
use user_management::proto::{Privilege, Role};

use super::lossy::{gone_after, losing_the_answer_after};
use super::{Said, with_ann};
use crate::acme::ACME;
use crate::site::Site;

impl Site {
    /// Writes a list beside the data, and answers its path.
    fn list(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.data_dir().join(name);
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    }

    /// How many unanswered invitations there are.
    async fn unanswered(&self) -> usize {
        self.operate("invite list acme --json").await.json().len()
    }
}

impl Said {
    /// The lines on standard error of a command that ended with this code, without who speaks.
    #[track_caller]
    fn lines(&self, code: i32) -> Vec<&str> {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.err.lines().map(|line| line.strip_prefix("user-management: ").expect("says who speaks")).collect()
    }

    fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// So many addresses, one a line.
fn addresses(count: usize) -> String {
    use std::fmt::Write as _;
    (0..count).fold(String::new(), |mut list, number| {
        writeln!(list, "p{number:04}@acme.test").expect("written");
        list
    })
}

#[tokio::test]
async fn each_of_many_addresses_has_its_result_in_its_place_and_a_refused_one_hinders_none() {
    let (site, ann) = with_ann().await;
    let list = site
        .list("list", "\u{feff}# the team\r\n\r\n  eve@acme.test\r\nnot an address\r\nAnn@acme.test\r\n# gone: x@acme.test\r\n");
    let line = format!("invite send acme bob@acme.test cy@acme.test --file {list} --privilege read-only --roles data");
    let tried = site.operate(&format!("{line} --dry-run")).await;
    let told = "of 5 addresses, 3 taken and 2 refused";
    assert_eq!(tried.lines(1), ["a dry run: nothing was changed", told]);
    assert_eq!(site.unanswered().await, 0, "nothing was changed");

    let sent = site.operate(&line).await;
    assert_eq!(sent.lines(1), [told]);
    let lines: Vec<&str> = sent.out.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["EMAIL", "INVITATION", "EXPIRES", "RESULT"]);
    let emails: Vec<&str> = lines[1..].iter().map(|line| line.split("  ").next().expect("an address")).collect();
    assert_eq!(emails, ["bob@acme.test", "cy@acme.test", "eve@acme.test", "not an address", "Ann@acme.test"]);
    assert!(lines[1].contains("  inv_") && lines[1].ends_with("  2026-12-01T12:00:00Z  pending"), "{sent:?}");
    assert!(lines[4].contains("FIELDS_INVALID: ") && lines[4].contains("email must be an address"), "{sent:?}");
    let member = format!("MEMBER_EXISTS: the address belongs to a member, {}; `member move` and `member roles` change", ann.id);
    assert!(lines[5].contains(&member), "{sent:?}");
    let invited = site.operate("invite list acme --json").await.json();
    assert_eq!(invited.len(), 3);
    assert!(invited.iter().all(|each| each["privilege"] == "PRIVILEGE_READ_ONLY" && each["roles"] == json!(["ROLE_DATA"])));

    let again = site.operate("invite send acme bob@acme.test dan@acme.test --privilege normal --json").await;
    let objects = again.objects();
    assert_eq!(again.lines(1), ["of 2 addresses, 1 taken and 1 refused"]);
    assert_eq!((&objects[0]["email"], &objects[1]["email"]), (&json!("bob@acme.test"), &json!("dan@acme.test")));
    assert_eq!(objects[0]["error"]["reason"], "ERROR_REASON_INVITATION_EXISTS");
    assert_eq!(objects[1]["invitation"]["state"], "INVITATION_STATE_PENDING");
    let all = site.operate("invite send acme fay@acme.test gus@acme.test --privilege normal").await;
    assert_eq!(all.err, "");
    assert_eq!(all.done().lines().count(), 3);
}

#[tokio::test]
async fn more_than_a_thousand_are_invited_in_several_calls_from_standard_input_with_a_link_for_each() {
    let (site, _) = with_ann().await;
    let list = addresses(2100).replace("p1500@acme.test", "ann@acme.test");
    let sent = site.operate_on(&list, "invite send acme --file - --privilege normal --return-link --json").await;
    assert_eq!(sent.lines(1), ["of 2100 addresses, 2099 taken and 1 refused"]);
    let objects = sent.objects();
    let emails: Vec<&str> = objects.iter().map(|object| object["email"].as_str().expect("an address")).collect();
    assert_eq!(emails, list.lines().collect::<Vec<_>>(), "in their order");
    assert_eq!(objects[1500]["error"]["reason"], "ERROR_REASON_MEMBER_EXISTS");
    let token = objects[2099]["link"]["token"].as_str().expect("a token");
    assert_eq!(site.nobody().await.preview(token).await.expect("opens").email, "p2099@acme.test");
    assert_eq!(site.unanswered().await, 2099);
    let table = site.operate("invite send acme x@acme.test y@acme.test --privilege normal --return-link").await.done();
    assert!(table.lines().next().is_some_and(|line| line.contains("LINK")) && table.matches("#token=").count() == 2, "{table}");
}

#[tokio::test]
async fn a_list_that_can_not_be_taken_is_refused_before_anybody_is_invited() {
    let (site, _) = with_ann().await;
    let file = |name: &str, content: &[u8]| site.list(name, content);
    let directory = site.data_dir().display().to_string();
    let huge = file("huge", &vec![b'\n'; (4 << 20) + 1]);
    let twice = file("twice", b"bob@acme.test\n# and\nbob@ACME.test\neve@acme.test\neve@acme.test\n");
    let latin = file("latin", b"bob@acme.test\nj\xf6rg@acme.test\n");
    for (path, lines) in [
        ("nowhere", vec!["nowhere: can't be read: No such file or directory (os error 2)".to_owned()]),
        (&directory, vec![format!("{directory}: can't be read: Is a directory (os error 21)")]),
        (&file("empty", b""), vec![format!("{}: holds no entry", site.data_dir().join("empty").display())]),
        (&file("remarks", b"# nobody\n\n"), vec![format!("{}: holds no entry", site.data_dir().join("remarks").display())]),
        (&huge, vec![format!("{huge}: is larger than 4 MiB, so it is no list")]),
        (&latin, vec![format!("{latin}, line 2: isn't UTF-8")]),
        (
            &twice,
            vec![
                format!("{twice}, line 3: bob@ACME.test was named before, at {twice}, line 1"),
                format!("{twice}, line 5: eve@acme.test was named before, at {twice}, line 4"),
            ],
        ),
    ] {
        let refused = site.operate(&format!("invite send acme --file {path} --privilege normal")).await;
        assert_eq!(refused.lines(2), lines);
        assert_eq!(refused.out, "", "{refused:?}");
    }
    let twice = site.operate("invite send acme a@acme.test A@acme.test --privilege normal").await.refused(2);
    assert_eq!(twice, "argument 2: A@acme.test was named before, at argument 1");
    assert_eq!(site.operate("invite send acme --file - --privilege normal").await.refused(2), "standard input: holds no entry");
    site.operate("invite send acme --privilege normal").await.refused_as_usage();
    assert_eq!(site.unanswered().await, 0);
    let nowhere = site.operate("invite send nowhere a@acme.test b@acme.test --privilege normal").await.refused(3);
    assert!(nowhere.starts_with("ACCOUNT_NOT_FOUND: "), "{nowhere}");
}

#[tokio::test]
async fn what_was_done_of_many_is_said_when_the_server_goes_halfway() {
    let (site, _) = with_ann().await;
    let (socket, relay) = gone_after(&site, 1);
    let command = format!("invite send acme --file - --privilege normal --return-link --json --socket {}", socket.display());
    let sent = site.operate_on(&addresses(1100), &command).await;
    relay.join().expect("it relayed");
    assert_eq!(sent.objects().len(), 1000, "what is known was shown");
    let lines = sent.lines(4);
    assert!(lines[0].starts_with("the connection to the server was lost: "), "{lines:?}");
    assert_eq!(
        lines[1..],
        ["of 1100 addresses, 1000 taken and 0 refused; 100 have no result: send those again, and who was invited after all \
          is refused"]
    );
    let rest = site.operate_on(&addresses(1100), "invite send acme --file - --privilege normal --json").await;
    assert!(rest.objects().iter().all(|object| object["error"]["reason"] == "ERROR_REASON_INVITATION_EXISTS"), "{rest:?}");
    assert_eq!(site.unanswered().await, 1100);
}

#[tokio::test]
async fn an_answer_to_many_that_was_lost_is_asked_for_again_and_lost_links_are_told_of() {
    let (site, _) = with_ann().await;
    let (socket, relay) = losing_the_answer_after(&site, 1);
    let command = format!("invite send acme --file - --privilege normal --return-link --json --socket {}", socket.display());
    let sent = site.operate_on(&addresses(1100), &command).await;
    relay.join().expect("it relayed");
    let objects = sent.objects();
    assert!(objects[999]["link"].is_object() && objects[1000]["link"].is_null() && objects[1099]["invitation"].is_object());
    assert_eq!(sent.lines(1), ["a link was made for each of the last 100, but the answer with it was lost: ask for another"]);
    assert_eq!(site.unanswered().await, 1100, "done once");
}

#[tokio::test]
async fn a_reader_that_goes_away_halfway_ends_a_long_list_and_is_told_of() {
    let (site, _) = with_ann().await;
    let list = site.list("list", addresses(1100));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = site.command(&format!("invite send acme --file {list} --privilege normal"));
    command.stdout(writer).stderr(Stdio::piped());
    let said = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it starts");
    let said = Said::of(said);
    assert!(said.lines(1)[0].starts_with("of 1100 addresses, 1000 taken and 0 refused; 100 have no result: "), "{said:?}");
    assert_eq!(site.unanswered().await, 1000);
}

#[tokio::test]
async fn members_are_moved_given_roles_and_removed_by_one_list() {
    let (site, ann) = with_ann().await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    site.member(ACME, "cy@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    site.member(ACME, "dan@acme.test", Privilege::ReadOnly, &[]).await;
    let changes = format!(
        "# exchange the admins\nremove {}\nmove bob@acme.test admin\n\nroles CY@acme.test --none --allow-widening\n\
         move dan@acme.test normal --keep-roles\n",
        ann.id
    );
    let list = site.list("list", &changes);
    let unasked = site.operate(&format!("member batch acme {list}")).await.refused(1);
    assert_eq!(unasked, "Remove a member from acme, among 4 changes? Say --yes if that is meant: there is no terminal to ask on");
    let tried = site.operate(&format!("member batch acme {list} --dry-run")).await;
    assert_eq!(tried.lines(0), ["a dry run: nothing was changed"]);
    assert_eq!(site.operate("member list acme --json").await.json().len(), 4, "nothing was changed");

    let made = site.operate_on(&changes, "member batch acme - --yes").await.done();
    assert_eq!(made, tried.out, "the rehearsal told the truth");
    let rows: Vec<Vec<&str>> = made.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["CHANGE", "USER", "EMAIL", "PRIVILEGE", "ROLES", "GAINED", "LOST"]);
    assert_eq!(rows[1][..5], ["remove", ann.id.as_str(), "ann@acme.test", "admin", "-"]);
    assert_eq!(rows[2][..5], ["move", bob.id.as_str(), "bob@acme.test", "admin", "-"]);
    assert_eq!(rows[2][5], "manage-users,modify-checks,modify-templates,modify-graphs,modify-worksheets");
    assert_eq!((rows[3][0], rows[4][0]), ("roles", "move"));
    let left = site.operate("member list acme --json").await.json();
    let left: Vec<_> = left.iter().map(|member| (member["email"].as_str(), member["privilege"].as_str())).collect();
    assert_eq!(left.len(), 3);
    assert!(left.contains(&(Some("bob@acme.test"), Some("PRIVILEGE_ADMIN"))), "{left:?}");
    let answer = site.operate_on("move dan@acme.test read-only\n", "member batch acme - --json").await.json();
    assert_eq!(
        (answer[0]["members"].as_array().map(Vec::len), answer[0]["effects"].as_array().map(Vec::len)),
        (Some(1), Some(1))
    );
}

#[tokio::test]
async fn a_change_that_can_not_be_made_is_named_by_its_line_and_none_is_made() {
    let (site, ann) = with_ann().await;
    site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    let before = site.operator().await.last_event().await;
    let on = async |changes: &str| {
        let list = site.list("list", changes);
        let said = site.operate(&format!("member batch acme {list} --yes")).await;
        assert_eq!(said.out, "", "{said:?}");
        (said.code, said.err.replace("user-management: ", "").replace(&list, "list"))
    };
    for (second, code, line) in [
        (
            "remove eve@acme.test",
            3,
            "list, line 3: MEMBER_NOT_FOUND: nobody in the account has the id or address \"eve@acme.test\"\n",
        ),
        (
            "remove ann@acme.test --etag 1-2",
            1,
            "list, line 3: ETAG_MISMATCH: the object changed since it was read; look at it again\n",
        ),
        ("remove ann", 2, "list, line 3: user: must be a user's id, usr_…, or an email address\n"),
    ] {
        assert_eq!(on(&format!("move bob@acme.test admin\n\n{second}\n")).await, (Some(code), line.to_owned()));
    }
    let (code, line) = on("# alone\nroles bob@acme.test --none\n").await;
    assert_eq!(code, Some(1));
    assert!(line.starts_with("list, line 2: ROLES_WIDEN: ") && line.ends_with(" (--allow-widening)\n"), "{line}");
    let (code, line) = on("move bob@acme.test read-only\nremove ann@acme.test\n").await;
    assert_eq!(code, Some(1));
    assert!(line.starts_with("LAST_ADMIN: acme would lose"), "{line}");
    let (_, line) = on(&format!("move ann@acme.test admin\nroles bob@acme.test data\nremove {}\n", ann.id)).await;
    assert_eq!(line, "list, line 3: user: stands in another entry too\n");

    let wrong = "promote bob@acme.test\nmove bob@acme.test readonly\nroles BOB@acme.test data\nmove bob@acme.test normal\n";
    let told = "list, line 1: must begin with move, roles or remove\n\
                list, line 2: invalid value 'readonly' for '<PRIVILEGE>' [possible values: admin, normal, read-only]\n\
                list, line 4: bob@acme.test was named before, at list, line 3\n";
    assert_eq!(on(wrong).await, (Some(2), told.to_owned()));
    let many = addresses(1001).replace('p', "remove p");
    let told = "list, line 1001: is behind the 1000 changes that can be made together; split the list\n";
    assert_eq!(on(&many).await, (Some(2), told.to_owned()));
    assert_eq!(on("# nothing\n").await, (Some(2), "list: holds no entry\n".to_owned()));
    let many = many.lines().take(1000).collect::<Vec<_>>().join("\n");
    let (code, line) = on(&many).await;
    assert_eq!(code, Some(3), "a thousand go: {line}");
    assert!(line.starts_with("list, line 1: MEMBER_NOT_FOUND: "), "{line}");
    assert_eq!(site.operator().await.last_event().await, before, "nothing was changed");
}
