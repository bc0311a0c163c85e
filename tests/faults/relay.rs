//! A relay that is down, slow or silent, lies, drops the line after DATA, and returns.

use std::time::Duration;

use tokio::time::sleep;

use crate::dice::Dice;
use crate::run::{Run, number};
use crate::smtp_sink::{Answer, At, Script};

/// Each with what it is called.
fn troubles() -> Vec<(&'static str, Script)> {
    let well = Script::accepting;
    let slow = |at| Answer::Late(Duration::from_millis(300), at);
    vec![
        ("is down", well().at(At::Greeting, Answer::Drop)),
        ("turns away", well().say(At::Greeting, "554 5.3.2 not today")),
        ("is silent", well().at(At::Greeting, Answer::Silence)),
        ("is slow", well().at(At::Mail, slow("250 2.1.0 ok")).at(At::Content, slow("250 2.0.0 taken"))),
        ("is silent after the message", well().at(At::Content, Answer::Silence)),
        ("drops the line after the message, and took it", well().at(At::Content, Answer::Drop)),
        ("drops the line at DATA", well().at(At::Data, Answer::Drop)),
        ("puts recipients off", well().say(At::Rcpt, "450 4.2.1 later")),
        ("puts messages off", well().say(At::Content, "451 4.3.0 later")),
        ("took it, and says later", well().taking_anyway().say(At::Content, "451 4.3.0 later")),
        ("took it, and says no", well().taking_anyway().say(At::Content, "554 5.6.0 no")),
        ("refuses recipients", well().say(At::Rcpt, "550 5.1.1 unknown")),
        ("talks nonsense", well().say(At::Mail, "what?")),
        ("asks for credentials", well().say(At::Mail, "530 5.7.0 who are you")),
        ("is well", well()),
    ]
}

/// Goes through all of it while clients write, sometimes across a kill, and looks for every mail that is owed.
pub(crate) async fn that_fails_loses_no_mail() {
    let rounds = number("ROUNDS", 1);
    let mut dice = Dice::new("relay");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut run = Run::start(&mut dice, directory.path(), |place| place).await;
    let mut seen = 0;
    for _ in 0..rounds {
        for (trouble, script) in troubles() {
            let before = run.relay.conversations();
            run.relay.follow(script);
            sleep(Duration::from_millis(200 + dice.throw(500))).await;
            if dice.once_in(3) {
                run.place.operator().await;
                run.kill();
            }
            run.writers.answered();
            if run.relay.conversations() == before {
                println!("relay: nobody came while it {trouble}");
            }
            seen += 1;
        }
    }
    let conversations = run.relay.conversations();
    run.reckon(&format!("relay: {seen} kinds of trouble, {conversations} conversations")).await;
}
