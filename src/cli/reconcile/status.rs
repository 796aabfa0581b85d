//! `trunkline reconcile --status`: how far the streams have come, as their owners have written it down.

use serde_json::json;

use crate::cli::output;
use crate::event::time::Time;
use crate::reconcile::schedule::progress::OpenWindow;
use crate::reconcile::standing;
use crate::reconcile::state;
use crate::settings::Settings;

/// Prints the cursors of one source, or of all.
pub(super) async fn show(settings: &Settings, source: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    if let Some(name) = source.filter(|name| settings.sources.iter().all(|known| known.name != **name)) {
        anyhow::bail!("there is no source {name:?} in the configuration");
    }
    let cursors = state::cursors(&settings.kafka, source).await?;
    let now = Time::now();
    match as_json {
        true => cursors.iter().for_each(|found| output::line(&line(found, now))),
        false if cursors.is_empty() => output::line("nothing was compared by schedule yet"),
        false => print(&cursors, now),
    }
    Ok(())
}

fn line(found: &state::Found, now: Time) -> String {
    let state::Found { source_name, stream, cursor } = found;
    let mut told = match cursor {
        Ok(cursor) => standing::progress_json(cursor, now),
        Err(fault) => json!({"problem": fault.to_string()}),
    };
    told["kind"] = json!("status");
    told["source"] = json!(source_name);
    told["stream"] = json!(stream);
    if let Ok(cursor) = cursor {
        told["instance"] = json!(cursor.instance);
    }
    told.to_string()
}

fn print(cursors: &[state::Found], now: Time) {
    let heading = ["SOURCE", "STREAM", "READ TO", "LAG", "OPEN", "WRITTEN", "BY"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(cursors.iter().map(|found| row(found, now)));
    output::table(&rows);
    for state::Found { source_name, stream, cursor } in cursors {
        match cursor {
            Ok(cursor) => cursor.progress.open().for_each(|open| output::line(&open_line(source_name, stream, open))),
            Err(fault) => output::error(&format!("{source_name} {stream}: {fault}")),
        }
    }
}

fn row(found: &state::Found, now: Time) -> Vec<String> {
    let unknown = || "?".to_owned();
    let (read_to, lag, open, written, by) = match &found.cursor {
        Ok(cursor) => {
            let read_to = standing::read_to(cursor);
            let lag_s = now.unix_seconds().saturating_sub(read_to.unix_seconds()).max(0);
            let open = cursor.progress.open().len().to_string();
            (read_to.to_string(), duration(lag_s), open, cursor.written_at.to_string(), cursor.instance.clone())
        }
        Err(_) => (unknown(), unknown(), unknown(), unknown(), unknown()),
    };
    vec![found.source_name.clone(), found.stream.clone(), read_to, lag, open, written, by]
}

fn open_line(source_name: &str, stream: &str, open: &OpenWindow) -> String {
    let OpenWindow { window, why, tries, tried_at, counts, .. } = open;
    format!(
        "{source_name} {stream}: the hour from {} is open ({why}, {} unexplained), tried {tries} times, last at {tried_at}",
        window.from(),
        counts.unexplained,
    )
}

fn duration(seconds: i64) -> String {
    match seconds {
        ..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_told_in_the_units_that_matter() {
        let told = [59, 60, 3599, 3661, 172_799, 180_000].map(duration);
        assert_eq!(told, ["0 min", "1 min", "59 min", "1 h 1 min", "47 h 59 min", "2 d 2 h"]);
    }
}
