//! `trunkline schemas`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::output;
use crate::event::kind::{DEAD_LETTER_SCHEMA, KINDS, RAW_SCHEMA};

const ASYNCAPI: (&str, &str) = ("asyncapi.yaml", include_str!("../../schemas/asyncapi.yaml"));

/// Print or write the JSON Schemas and the AsyncAPI document
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline schemas
  trunkline schemas --out ./schemas")]
pub struct Schemas {
    /// Write files below this folder instead of printing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Every published file and its text.
pub fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().map(|info| (info.schema_file, info.schema)).chain([DEAD_LETTER_SCHEMA, RAW_SCHEMA, ASYNCAPI])
}

impl Schemas {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        for (name, text) in files() {
            match &self.out {
                None => output::line(&format!("# {name}\n{text}")),
                Some(folder) => write(&folder.join(name), text)?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} can not be made", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("{} can not be written", path.display()))?;
    output::line(&format!("wrote {}", path.display()));
    Ok(())
}
