//! The very first start, cut short.

use std::time::Duration;

use tokio::time::sleep;
use user_management::proto;

use crate::dice::Dice;
use crate::program::Place;

/// A program that is killed while it makes its data starts on what is there, as often as it takes.
pub(crate) async fn can_be_killed_at_any_moment() {
    let mut dice = Dice::new("first start");
    for _ in 0..8 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = Place::new(directory.path());
        for _ in 0..5 {
            let mut program = place.start();
            sleep(Duration::from_millis(dice.throw(100))).await;
            program.kill();
        }
        let program = place.start();
        let request = proto::CreateAccountRequest { name: "acme".to_owned(), ..Default::default() };
        place.operator().await.users.create_account(request).await.expect("it serves");
        program.stop().await;
    }
    println!("first start: killed 40 times on 8 fresh directories, each served after that");
}
