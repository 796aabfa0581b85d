//! Reading a file of a provider: fetched whole, proven, and only then handed over row by row.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use super::archive;
use super::{Fetching, Findings, Line, Target};
use crate::provider::api::{Download, FileFault, Verdict};

/// Room for one file while it is read.
#[derive(Debug)]
pub struct WorkFile {
    /// A file of nobody else's.
    pub file: File,
    /// As much as it may hold.
    pub max_bytes: u64,
}

impl Target for WorkFile {
    fn begin(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0)).map(|_| ())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }
}

/// What became of a file.
pub(super) enum Reading {
    Read(Result<u64, FileFault>),
    Judged(Verdict),
    Throttled(Duration),
}

impl Line {
    /// Fetches a file and hands over its rows. It is read twice: the first time to its end, which proves its checksum.
    pub(super) async fn read_file(&self, download: &Download, findings: &mut (dyn Findings + Send)) -> Reading {
        let mut work = match findings.work_file() {
            Ok(work) => work,
            Err(error) => return Reading::Read(Err(self.not_written(&error))),
        };
        let max_bytes = work.max_bytes;
        let fetched = match self.fetch(&download.request, &mut work, max_bytes).await {
            Fetching::Whole { fetched, .. } => fetched,
            Fetching::Judged(verdict) => return Reading::Judged(verdict),
            Fetching::Throttled(wait) => return Reading::Throttled(wait),
        };
        if let Err(fault) = archive::read(&work.file, download.needed, &mut |_| ()) {
            tracing::warn!(source.name = %self.source_name, fault = fault.word(), raw_id = %fetched.raw_id, "a file of the provider can not be used");
            return Reading::Read(Err(fault));
        }
        findings.fetched(&fetched);
        Reading::Read(archive::read(&work.file, download.needed, &mut |row| findings.row(row)))
    }

    fn not_written(&self, error: &io::Error) -> FileFault {
        tracing::error!(source.name = %self.source_name, %error, "there is no room for a file of the provider");
        FileFault::NotWritten
    }
}
