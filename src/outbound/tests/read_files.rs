//! Files whose rows are handed over.

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::provider::api::{Download, FileFault};

/// Waits, and reads a file.
pub(super) struct OneFile;

impl Talk for OneFile {
    fn next(&mut self, heard: Heard<'_>, _found: &mut dyn Found) -> Say {
        match heard {
            Heard::Begin => Say::Wait(Duration::from_secs(7)),
            Heard::Waited => {
                let request = Request::get("api", "files", "/v1/file");
                Say::Fetch(Download { request, needed: &[&["id"]] })
            }
            Heard::File(Ok(_)) => Say::Done(Ending::Whole),
            Heard::File(Err(fault)) => Say::Done(Ending::Partial(fault.word())),
            Heard::Judged(verdict) => Say::Done(Ending::Failed(verdict.clone())),
            other => panic!("{other:?}"),
        }
    }
}

fn zip_of(table: &str) -> Vec<u8> {
    let mut bytes = io::Cursor::new(Vec::new());
    let mut writer = ZipWriter::new(&mut bytes);
    writer.start_file("a.csv", SimpleFileOptions::default()).unwrap();
    writer.write_all(table.as_bytes()).unwrap();
    writer.finish().unwrap();
    bytes.into_inner()
}

async fn read(answers: Vec<Vec<u8>>) -> Outcome {
    let question = Question::Rows(Asked { stream: "files", ..asked() });
    Setup::new(basic(), answers).ask(&question).await
}

#[tokio::test]
async fn rows_of_a_file_are_handed_over_after_the_wait_that_was_asked_for() {
    let file = zip_of("id,x\n1,a\n2,\n");
    let cut = [b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 4000\r\n\r\n", &file[..40]].concat();
    let outcome = read(vec![cut, answer(200, "", &file)]).await;
    assert_eq!(outcome.ended, whole());
    assert_eq!(outcome.rows, [r#"{"id":"1","x":"a"}"#, r#"{"id":"2"}"#]);
    assert!(outcome.waits_s.first() == Some(&7.0) && outcome.asked.len() == 2, "{:?}", outcome.waits_s);
}

#[tokio::test]
async fn nothing_of_a_file_with_a_fault_is_handed_over() {
    // The last byte of a table that is not packed, so that only its checksum is wrong.
    let table = "id,x\n1,a\n2,b\n";
    let whole = zip_of(table);
    let mut damaged = whole.clone();
    let place = whole.len() / 3;
    damaged[place] ^= 1;
    for (file, fault) in [(damaged, FileFault::Broken), (zip_of("other\n1\n"), FileFault::ColumnsMissing)] {
        let outcome = read(vec![answer(200, "", &file)]).await;
        assert_eq!((outcome.ended, outcome.rows.len()), (Ended::Said(Ending::Partial(fault.word())), 0));
    }
}

#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_judged_as_too_much() {
    let outcome = read(vec![answer(200, "", &[0; 5000])]).await;
    assert_eq!(outcome.failed(), &Verdict::Narrower);
    let outcome = read(vec![answer(403, "", b"")]).await;
    assert_eq!(outcome.failed().word(), "forbidden");
}
