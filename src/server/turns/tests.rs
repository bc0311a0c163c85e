use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::{JoinHandle, yield_now};

use super::*;

/// Two ends of a connection that a core reads in turn.
fn connection(turns: &Turns, line: &Line) -> (DuplexStream, Paced<DuplexStream>) {
    let (ours, theirs) = duplex(1 << 20);
    (theirs, Paced::new(ours, Place { turns: turns.clone(), line: line.clone() }))
}

/// Reads until nothing more comes, and counts it.
fn reading(mut connection: Paced<DuplexStream>, count: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let count = Arc::clone(count);
    TaskTracker::new().spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = connection.read(&mut buffer).await {
            count.fetch_add(read, Ordering::Relaxed);
        }
    })
}

#[tokio::test]
async fn whatever_many_connections_of_one_peer_bring_another_peer_waits_for_a_round() {
    const EACH: usize = 100_000;
    let turns = Turns::begin(&TaskTracker::new());
    let many = Line::of_peer();
    let count = Arc::new(AtomicUsize::new(0));
    let mut others = Vec::new();
    for _ in 0..50 {
        let (mut theirs, ours) = connection(&turns, &many);
        theirs.write_all(&vec![0; EACH]).await.unwrap();
        others.push(reading(ours, &count));
    }
    let (mut client, mut server) = connection(&turns, &Line::of_peer());
    let mut asked = 0;
    while count.load(Ordering::Relaxed) < 50 * EACH {
        let before = count.load(Ordering::Relaxed);
        client.write_all(&[0; 200]).await.unwrap();
        server.read_exact(&mut [0; 200]).await.unwrap();
        yield_now().await;
        let meanwhile = count.load(Ordering::Relaxed) - before;
        assert!(meanwhile <= 2 * ROUND, "{meanwhile} bytes of the other peer went before");
        asked += 1;
    }
    assert!(asked >= 50 * EACH / (2 * ROUND), "{asked}");
    for other in others {
        other.await.expect("all was read");
    }
}

#[tokio::test]
async fn connections_of_a_peer_are_read_one_after_the_other() {
    let turns = Turns::begin(&TaskTracker::new());
    let line = Line::of_peer();
    let mut counts = Vec::new();
    for _ in 0..20 {
        let (mut theirs, ours) = connection(&turns, &line);
        theirs.write_all(&vec![0; 50_000]).await.unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        drop(reading(ours, &count));
        counts.push((count, theirs));
    }
    let read = || counts.iter().map(|(count, _)| count.load(Ordering::Relaxed));
    while read().sum::<usize>() < 20 * 50_000 {
        yield_now().await;
        let (least, most) = (read().min().unwrap(), read().max().unwrap());
        assert!(most - least <= 2 * ROUND, "one has {most} bytes of its own and another {least}");
    }
}

async fn byte(end: &mut (DuplexStream, Paced<DuplexStream>)) {
    end.0.write_all(&[0]).await.unwrap();
    end.1.read_exact(&mut [0]).await.unwrap();
}

#[tokio::test]
async fn connections_that_begin_and_little_reads_count_for_what_they_cost() {
    let turns = Turns::begin(&TaskTracker::new());
    let line = Line::of_peer();
    let rounds = || turns.0.number.load(Ordering::Relaxed);
    let mut ends: Vec<_> = std::iter::repeat_with(|| connection(&turns, &line)).take(20).collect();
    for end in &mut ends {
        byte(end).await;
    }
    assert_eq!(rounds(), 19, "one begins in each round");
    for _ in 0..80 {
        byte(&mut ends[0]).await;
    }
    assert_eq!(rounds(), 59, "two are read in each");
}

#[tokio::test]
async fn who_speaks_for_many_is_read_for_longer() {
    let turns = Turns::begin(&TaskTracker::new());
    let mut end = connection(&turns, &Line::of_many());
    for _ in 0..ROUND_OF_MANY / READ - FIRST_READ / READ {
        byte(&mut end).await;
    }
    assert_eq!(turns.0.number.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_goes_away_while_waiting_holds_nobody_up() {
    let turns = Turns::begin(&TaskTracker::new());
    let line = Line::of_peer();
    let mut end = connection(&turns, &line);
    for _ in 0..20 {
        while line.lock().left(turns.0.number.load(Ordering::Relaxed)) >= READ {
            byte(&mut end).await;
        }
        let (mut theirs, mut gone) = connection(&turns, &line);
        theirs.write_all(&[0]).await.unwrap();
        let waits =
            std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut gone).poll_read(context, &mut ReadBuf::new(&mut [0]))));
        assert!(waits.await.is_pending(), "the round is used up");
        drop(gone);
        assert!(line.lock().waiting.is_empty() && turns.0.waiting.lock().unwrap().len() == 1);
        byte(&mut end).await;
    }
}

#[tokio::test]
async fn rounds_begin_only_while_somebody_waits() {
    let turns = Turns::begin(&TaskTracker::new());
    let mut end = connection(&turns, &Line::of_peer());
    for _ in 0..100 {
        byte(&mut end).await;
    }
    yield_now().await;
    let rounds = || turns.0.number.load(Ordering::Relaxed);
    let before = rounds();
    assert!(before > 0);
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(rounds(), before);
}

#[test]
fn no_more_are_woken_than_may_read_in_a_round() {
    let mut queue = Queue { waiting: (0..20).map(|number| (number, Waker::noop().clone())).collect(), ..Queue::new(ROUND) };
    assert!(matches!(queue.wake(Instant::now()), Waits::ForTheNext));
    assert_eq!(queue.waiting.keys().copied().collect::<Vec<_>>(), (2..20).collect::<Vec<_>>(), "those that came first");
}

#[test]
fn who_is_refused_again_and_again_is_read_so_often_and_soon_again() {
    let mut queue = Queue::new(ROUND);
    let begun = Instant::now();
    let free = u32::try_from(FREE.as_millis() / REFUSED.as_millis()).unwrap();
    for _ in 0..free {
        queue.owe(REFUSED, begun);
        assert_eq!(queue.free(begun), None);
    }
    queue.owe(REFUSED, begun);
    assert_eq!(queue.free(begun), Some(begun + REFUSED), "each waits for one more");
    assert_eq!(queue.free(begun + REFUSED), None);
    for _ in 0..100_000 {
        queue.owe(REFUSED, begun);
    }
    assert_eq!(queue.free(begun), Some(begun + LONGEST), "whatever it did");
    queue.owe(REFUSED, begun + Duration::from_hours(1));
    assert_eq!(queue.free(begun + Duration::from_hours(1)), None, "what is over is over");
}

#[tokio::test]
async fn who_owes_time_waits_for_its_end_while_others_are_read() {
    let turns = Turns::begin(&TaskTracker::new());
    let (owing, other) = (Line::of_peer(), Line::of_peer());
    for _ in 0..10_000 {
        owing.refused();
    }
    let (mut theirs, mut ours) = connection(&turns, &owing);
    theirs.write_all(&[0]).await.unwrap();
    let free = owing.lock().free(Instant::now()).expect("much is owed");
    let mut end = connection(&turns, &other);
    let waits = tokio::join!(
        async {
            ours.read_exact(&mut [0]).await.unwrap();
            Instant::now()
        },
        async {
            for _ in 0..100 {
                byte(&mut end).await;
            }
        }
    );
    assert!(waits.0 >= free);
}

#[tokio::test]
async fn a_connection_that_ends_costs_its_peer_some_time() {
    let turns = Turns::begin(&TaskTracker::new());
    let line = Line::of_peer();
    let before = Instant::now();
    for _ in 0..100 {
        drop(connection(&turns, &line));
    }
    assert!(line.lock().owed.is_some_and(|owed| owed >= before + 100 * ENDED));
}
