//! Lists with filters: what each shows, alone and together, and that pages neither repeat nor miss what stays.

mod accounts;
mod events;
mod invitations;
mod members;
mod moving;
mod users;

use tonic::Status;

use crate::client::{reason, violations};

/// Walks a list to its end and answers all that its pages showed; a page has at most as many entries as were asked for.
async fn walk<T>(size: usize, mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Status>) -> Vec<T> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (entries, next) = page(token).await.expect("listed");
        assert!(entries.len() <= size, "{} entries of {size}", entries.len());
        all.extend(entries);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
}

/// The fields that a request is refused for.
fn refused_for<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let refused = answer.expect_err("refused");
    assert!(["FIELDS_INVALID", "PAGE_TOKEN_INVALID"].contains(&reason(&refused).as_str()), "{refused:?}");
    violations(&refused)
}
