//! Files, which are written as they come.

use std::io;

use super::*;

/// Keeps what is written, as far as there is room.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    begun: usize,
    room_bytes: Option<usize>,
}

impl Target for Kept {
    fn begin(&mut self) -> io::Result<()> {
        self.bytes.clear();
        self.begun += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        match self.room_bytes.is_some_and(|room_bytes| self.bytes.len() > room_bytes) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

struct Fetch {
    fetching: Fetching,
    kept: Kept,
    outcome: Outcome,
}

async fn fetch(answers: Vec<Vec<u8>>, max_bytes: u64, mut kept: Kept) -> Fetch {
    let request = Request::get("api", "files", "/v3/media/one");
    let mut fetching = None;
    let setup = Setup::new(basic(), answers);
    let outcome = setup.with(async |line, _| {
        fetching = Some(line.fetch(&request, &mut kept, max_bytes).await);
        whole()
    });
    let outcome = outcome.await;
    Fetch { fetching: fetching.unwrap(), kept, outcome }
}

fn is_counted(fetch: &Fetch, word: &str, times: u32) -> bool {
    fetch.outcome.metrics.contains(&format!(r#"endpoint="files",outcome="{word}"}} {times}"#))
}

#[tokio::test]
async fn a_file_is_kept_as_it_comes_and_asked_for_without_compression() {
    let answers = vec![answer(200, "content-encoding: gzip\r\n", b"[1, not compressed at all")];
    let fetch = fetch(answers, 25, Kept::default()).await;
    let Fetching::Whole { fetched, bytes } = &fetch.fetching else { panic!("{:?}", fetch.fetching) };
    assert_eq!((*bytes, fetched.path.as_str()), (25, "/v3/media/one"));
    assert_eq!(fetch.kept.bytes, b"[1, not compressed at all");
    let asked = fetch.outcome.asked[0].to_lowercase();
    assert!(asked.contains("accept-encoding: identity\r\n") && asked.contains("authorization: basic"), "{asked}");
    assert!(is_counted(&fetch, "ok", 1), "{}", fetch.outcome.metrics);
}

#[tokio::test]
async fn a_file_that_breaks_off_is_begun_anew() {
    let cut = b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 50\r\n\r\nlost".to_vec();
    let fetch = fetch(vec![cut, answer(503, "", b""), answer(200, "", b"whole")], 50, Kept::default()).await;
    assert!(matches!(fetch.fetching, Fetching::Whole { bytes: 5, .. }), "{:?}", fetch.fetching);
    assert_eq!((fetch.kept.bytes.as_slice(), fetch.kept.begun), (&b"whole"[..], 2));
    assert!(is_counted(&fetch, "truncated", 1) && is_counted(&fetch, "server_error", 1));
}

#[tokio::test]
async fn a_file_that_is_larger_than_it_may_be_is_not_read_to_its_end() {
    let told = fetch(vec![answer(200, "", b"123456")], 5, Kept::default()).await;
    assert_eq!((&told.fetching, told.kept.begun), (&Fetching::Judged(Verdict::Narrower), 0));
    let untold = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n123456".to_vec();
    let untold = fetch(vec![untold], 5, Kept::default()).await;
    assert_eq!(untold.fetching, Fetching::Judged(Verdict::Narrower));
    assert!(is_counted(&told, "too_large", 1) && is_counted(&untold, "too_large", 1));
}

#[tokio::test]
async fn a_full_disk_is_no_fault_of_the_provider_and_nothing_is_repeated() {
    let kept = Kept { room_bytes: Some(3), ..Kept::default() };
    let fetch = fetch(vec![answer(200, "", b"1234")], 50, kept).await;
    assert_eq!(fetch.fetching, Fetching::Judged(Verdict::Again { word: "not_written" }));
    assert_eq!(fetch.outcome.asked.len(), 1);
}

#[tokio::test]
async fn what_is_said_instead_of_a_file_is_judged_and_not_written() {
    let fetch_one = |status| fetch(vec![answer(status, "retry-after: 901\r\n", b"[\"no\"]")], 50, Kept::default());
    assert_eq!(fetch_one(403).await.fetching, Fetching::Judged(forbidden()));
    let throttled = fetch_one(429).await;
    assert_eq!((throttled.fetching, throttled.kept.begun), (Fetching::Throttled(Duration::from_secs(901)), 0));
}
