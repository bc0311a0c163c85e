//! Exports of history, as `tests/clients/verify_events.py` verifies them alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use user_management::proto;

use super::whole;
use crate::site::Site;

/// What the script says of an export: whether it is whole, and in words; none where there is no Python.
pub(super) fn judged(export: &Path, heads: &[&str]) -> Option<(bool, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/verify_events.py");
    let output = match Command::new("python3").arg(script).arg(export).args(heads).output() {
        Ok(output) => output,
        Err(missing) => {
            crate::skipped(&format!("exports aren't verified by another program, since python3 can't be started: {missing}"));
            return None;
        }
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).expect("UTF-8")))
}

/// What somebody does to the lines of an export.
type Edit<'a> = &'a dyn Fn(&mut Vec<String>);

pub(super) async fn exported(site: &Site, options: &str) -> String {
    site.operate(&format!("events export {options}")).await.done()
}

fn written(site: &Site, lines: &[String]) -> std::path::PathBuf {
    let file = site.data_dir().join("tampered");
    std::fs::write(&file, lines.join("\n") + "\n").expect("written");
    file
}

/// Changes each part of the event in a line.
fn edit_parts(line: &mut String, change: &dyn Fn(&mut Vec<serde_json::Value>)) {
    let mut read: serde_json::Value = serde_json::from_str(line).expect("JSON");
    for part in read["event"].as_array_mut().expect("parts") {
        change(part.as_array_mut().expect("a part"));
    }
    let written = read.to_string();
    assert_ne!(written, *line);
    *line = written;
}

#[tokio::test]
async fn an_export_is_verified_by_another_program_alone_and_whatever_is_changed_in_it_is_refused() {
    let site = whole().await;
    let file = site.data_dir().join("events.ndjson");
    let said = site.operate(&format!("events export --into {}", file.display())).await;
    assert!(said.err.contains("8 events are in "), "{said:?}");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "addresses stand in it");
    assert!(!site.data_dir().join("events.ndjson.part").exists());
    let text = std::fs::read_to_string(&file).expect("read");
    assert_eq!(text, exported(&site, "").await);
    assert_eq!(text, site.operate("export-events").await.done(), "by its other name");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let head = serde_json::from_str::<serde_json::Value>(&lines[9]).expect("JSON")["head"].as_str().expect("a head").to_owned();
    assert!(text.contains("bob@acme.test"));
    let Some((whole, said)) = judged(&file, &[&head]) else { return };
    assert!(whole && said.contains(&format!("whole: events 1 to 8, head {head}")), "{said}");

    let with = |change: Edit<'_>| {
        let mut lines = lines.clone();
        change(&mut lines);
        judged(&written(&site, &lines), &[]).expect("as before")
    };
    let edits: [(&str, Edit<'_>); 12] = [
        ("a time", &|lines| lines[4] = lines[4].replacen("[\"time\",\"time\",17", "[\"time\",\"time\",18", 1)),
        ("an id", &|lines| lines[5] = lines[5].replacen("\"id\",\"evt_0", "\"id\",\"evt_1", 1)),
        ("a personal value", &|lines| lines[8] = lines[8].replace("bob@acme.test", "eve@evil.test")),
        ("a personal value without its salt", &|lines| {
            edit_parts(&mut lines[8], &|part| {
                if part.get(4) == Some(&"bob@acme.test".into()) {
                    (part[3], part[4]) = (serde_json::Value::Null, "eve@evil.test".into());
                }
            });
        }),
        ("a personal value where none was", &|lines| {
            edit_parts(&mut lines[4], &|part| {
                if part[1] == "time" {
                    part.extend(["00".into(), "eve@evil.test".into()]);
                }
            });
        }),
        ("a part that adds nothing", &|lines| {
            lines[4] = lines[4].replacen("[\"time\",", "[\"super_admin\",\"digest\",\"\"],[\"time\",", 1);
        }),
        ("dropped", &|lines| drop(lines.remove(4))),
        ("reordered", &|lines| lines.swap(4, 5)),
        ("truncated with its end", &|lines| lines.truncate(6)),
        ("truncated before its end", &|lines| drop(lines.remove(8))),
        ("without its beginning", &|lines| drop(lines.remove(0))),
        ("a hash", &|lines| lines[3] = lines[3].replacen("\"hash\":\"", "\"hash\":\"0", 1)),
    ];
    for (what, change) in edits {
        let (whole, said) = with(change);
        assert!(!whole && !said.contains("Traceback"), "{what}: {said}");
    }
    // a cut that was made good needs a head from elsewhere
    let (whole, said) = judged(&file, &["epo_0:8:00"]).expect("as before");
    assert!(!whole && said.contains("not the history that was recorded"), "{said}");
}

#[tokio::test]
async fn an_export_begins_where_it_is_told_to_and_an_erased_value_is_missed_by_nobody() {
    let mut site = whole().await;
    let bob = site.confirmed("bob@acme.test").await;
    let mut operator = site.operator().await;
    operator.delete(&bob.id, false).await.expect("erased");
    let last = operator.last_event().await;
    let file = site.data_dir().join("later.ndjson");
    site.operate(&format!("events export --from 7 --into {}", file.display())).await.done();
    let text = std::fs::read_to_string(&file).expect("read");
    assert_eq!((text.lines().count() as u64, text.contains("bob@acme.test")), (last - 4, false));
    let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let before = format!("6:{}", first["previous_hash"].as_str().expect("a hash"));
    if let Some((whole, said)) = judged(&file, &[&before]) {
        assert!(whole && said.contains(&format!("whole: events 7 to {last}")), "{said}");
        let (whole, said) = judged(&file, &[]).expect("as before");
        assert!(
            !whole && said.contains("begins where no trim and no head says"),
            "its beginning was cut off, for all that it says: {said}"
        );
    }
    let none = last + 1;
    let refused = site.operate(&format!("events export --from {none}")).await.refused(1);
    assert!(refused.contains(&format!("there is no event {none}: the last one is {last}")), "{refused}");
    site.stop().await;
    assert_eq!(exported(&site, "--from 7").await, text, "without a server too");
}

#[tokio::test]
async fn heads_of_logs_and_exports_are_held_against_history_by_the_command_line() {
    let site = whole().await;
    let export = site.data_dir().join("events.ndjson");
    site.operate(&format!("events export --into {}", export.display())).await.done();
    let verified = site.operate(&format!("events verify --heads-in {}", export.display())).await.done();
    let head = verified.lines().find_map(|line| line.strip_prefix("head: ")).expect("a head").to_owned();
    assert!(verified.starts_with("whole: 8 events"), "{verified}");
    assert_eq!(site.operate(&format!("verify-events --head {head}")).await.code, Some(0), "by its other name");
    let (before, digits) = head.rsplit_once(':').expect("a hash");
    let wrong = format!("{before}:{}", digits.chars().rev().collect::<String>());
    let broken = site.operate(&format!("events verify --head {wrong}")).await;
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(
        broken.out.starts_with("BROKEN at event 8: it isn't the one whose hash was kept") && broken.out.contains(&wrong),
        "{broken:?}"
    );
    site.operate("events verify --head 8:1").await.refused_as_usage();
    let empty = site.data_dir().join("empty");
    std::fs::write(&empty, "nothing\n").expect("written");
    let refused = site.operate(&format!("events verify --heads-in {}", empty.display())).await.refused(2);
    assert!(refused.ends_with("no head of history stands in it"), "{refused}");

    site.underneath("update members set roles = 8").await;
    let changed = site.operate("events verify").await;
    assert_eq!(changed.code, Some(1));
    assert!(
        changed.out.starts_with("CHANGED behind history's back: one thing; the 8 events themselves are whole\nmember usr_"),
        "{changed:?}"
    );
}

#[tokio::test]
async fn more_heads_than_one_call_takes_are_held_against_history_in_several() {
    let site = whole().await;
    let verified = site.operate("events verify").await.done();
    let head = verified.lines().find_map(|line| line.strip_prefix("head: ")).expect("a head").to_owned();
    let epoch = head.split(':').next().expect("an epoch");
    let logs = site.data_dir().join("heads.log");
    let mut lines: Vec<_> = (0..10_001).map(|number| format!("{epoch}:9:{number:064x}")).collect();
    lines.push(head.clone());
    let verify = async |lines: &[String]| {
        std::fs::write(&logs, lines.join("\n")).expect("written");
        site.operate(&format!("events verify --heads-in {}", logs.display())).await
    };
    let broken = verify(&lines).await;
    assert!(broken.code == Some(1) && broken.out.starts_with("BROKEN at event 9: history ends before it"), "{broken:?}");
    // the last part has none of the others
    let younger = format!("{epoch}:3:{:064x}", 7);
    lines.push(younger.clone());
    let broken = verify(&lines).await;
    assert!(broken.out.starts_with("BROKEN at event 3: ") && broken.out.contains(&younger), "{broken:?}");
}

#[tokio::test]
async fn the_head_goes_to_the_log_once_an_hour_by_the_clock() {
    let site = whole().await;
    let app = site.app();
    let head = site.operator().await.verified().await.head.expect("a head");
    // the start told it
    let mut told = app.tell_head_when_due().await.expect("read");
    assert_eq!(told.map(|head| head.seq), None);
    site.clock.advance(std::time::Duration::from_mins(59));
    assert_eq!(app.tell_head_when_due().await.expect("read"), None);
    site.clock.advance(std::time::Duration::from_mins(1));
    told = app.tell_head_when_due().await.expect("read");
    assert_eq!(told.map(|head| (head.seq, head.hash.to_vec())), Some((head.seq, head.hash)));
    assert_eq!(app.tell_head_when_due().await.expect("read"), None);
    site.clock.advance(std::time::Duration::from_hours(1));
    app.keep_house_in(7).await;
    assert_eq!(app.tell_head_when_due().await.expect("read"), None, "housekeeping told it, whatever minute it is");
}

#[tokio::test]
async fn a_head_that_could_not_be_read_goes_to_the_log_as_soon_as_it_can() {
    let site = whole().await;
    let app = site.app();
    let head = site.operator().await.verified().await.head.expect("a head");
    site.clock.advance(std::time::Duration::from_hours(1));
    let mut database = site.database().await;
    sqlx::query("alter table events rename to elsewhere").execute(&mut database).await.expect("renamed");
    for _ in 0..2 {
        app.tell_head_when_due().await.expect_err("nothing can be read");
    }
    sqlx::query("alter table elsewhere rename to events").execute(&mut database).await.expect("renamed back");
    let told = app.tell_head_when_due().await.expect("read").expect("it is due still");
    assert_eq!((told.seq, told.hash.to_vec()), (head.seq, head.hash));
    assert_eq!(app.tell_head_when_due().await.expect("read"), None);
}

#[tokio::test]
async fn only_operators_get_the_salts() {
    let site = whole().await;
    let tool = site.service("tool", &["operations.read"], "").await;
    let refused = site.bearer(&tool).await.operations.export_events(proto::ExportEventsRequest::default()).await;
    assert_eq!(crate::client::reason(&refused.expect_err("refused")), "OPERATOR_REQUIRED");
}
