//! Printing results and errors. Colour only where a person reads.

use std::io::{self, IsTerminal, Write};

/// Prints a line of a result. A reader that has gone away, such as `head`, ends the program quietly.
pub fn line(text: &str) {
    if let Err(error) = writeln!(io::stdout().lock(), "{text}") {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { 1 };
        std::process::exit(code);
    }
}

/// Prints an error. Each problem stands on a line of its own.
pub fn error(text: &str) {
    let (red, plain) = if io::stderr().is_terminal() { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    for line in text.lines() {
        if writeln!(io::stderr().lock(), "{red}error:{plain} {line}").is_err() {
            // There is nowhere left to tell it.
            return;
        }
    }
}

/// Shows how far a long command is, in place of what it showed before. Only on a terminal.
pub fn progress(text: &str) {
    let mut out = io::stderr().lock();
    if out.is_terminal() && write!(out, "\r\u{1b}[K{text}").and_then(|()| out.flush()).is_err() {
        // There is nowhere left to show it.
    }
}

/// Makes text bold on a terminal.
pub fn strong(text: &str) -> String {
    match io::stdout().is_terminal() {
        true => format!("\u{1b}[1m{text}\u{1b}[0m"),
        false => text.to_owned(),
    }
}

/// Prints rows in columns as wide as their widest cell.
pub fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
