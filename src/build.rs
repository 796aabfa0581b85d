//! Which sources and which compiler the running program was made of. `build.rs` beside `Cargo.toml` finds it out.

use std::fmt;

use crate::event::kind::SCHEMA_VERSION;
use crate::event::time::Time;

/// How the program was made. What the build could not tell is `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Version of the package.
    pub version: &'static str,
    /// Version of the events that it publishes.
    pub schema_version: &'static str,
    /// First twelve digits of the commit.
    pub commit: &'static str,
    /// Seconds since the Unix epoch at which that commit was made, as text.
    epoch_s: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// What `rustc --version` prints.
    pub rustc: &'static str,
}

/// This program's.
pub const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    schema_version: SCHEMA_VERSION,
    commit: env!("TRUNKLINE_BUILD_COMMIT"),
    epoch_s: env!("TRUNKLINE_BUILD_EPOCH_S"),
    target: env!("TRUNKLINE_BUILD_TARGET"),
    rustc: env!("TRUNKLINE_BUILD_RUSTC"),
};

impl Build {
    /// When the commit was made. It is not the time of the build, which would make equal sources differ.
    pub fn date(&self) -> Option<Time> {
        Time::from_unix_seconds(self.epoch_s.parse().ok()?)
    }
}

impl fmt::Display for Build {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} (schema {})", self.version, self.schema_version)?;
        match self.date() {
            Some(date) => writeln!(formatter, "commit {} of {date}", self.commit)?,
            None => writeln!(formatter, "commit {}", self.commit)?,
        }
        writeln!(formatter, "target {}", self.target)?;
        write!(formatter, "compiler {}", self.rustc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: Build = Build {
        version: "1.2.3",
        schema_version: "1.0",
        commit: "0123456789ab",
        epoch_s: "1767225600",
        target: "x86_64-unknown-linux-gnu",
        rustc: "rustc 1.95.0 (59807616e 2026-03-21)",
    };

    #[test]
    fn everything_that_is_known_is_told() {
        let text = "1.2.3 (schema 1.0)\ncommit 0123456789ab of 2026-01-01T00:00:00Z\n\
                    target x86_64-unknown-linux-gnu\ncompiler rustc 1.95.0 (59807616e 2026-03-21)";
        assert_eq!(RELEASE.to_string(), text);
    }

    #[test]
    fn a_build_without_a_commit_has_no_date() {
        let build = Build { commit: "unknown", epoch_s: "unknown", ..RELEASE };
        assert!(build.to_string().contains("\ncommit unknown\n"), "{build}");
    }

    #[test]
    fn the_build_script_has_told_target_and_compiler() {
        assert!(BUILD.target.contains('-'), "{BUILD:?}");
        assert!(BUILD.rustc.starts_with("rustc "), "{BUILD:?}");
    }
}
