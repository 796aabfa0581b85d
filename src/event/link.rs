//! Telling links from other texts.
//!
//! Recordings and media are often served to whoever has their link, so that a published link is a
//! published recording. A link is told by its member's name and by its value, whatever sent it.

/// Schemes by which something can be fetched. Others stand in front of ids as well.
const SCHEMES: [&str; 14] =
    ["http", "https", "ftp", "ftps", "sftp", "ws", "wss", "rtsp", "rtmp", "s3", "gs", "file", "blob", "hls"];

/// Endings of files that hold speech, pictures, films or documents.
const MEDIA: [&str; 31] = [
    "wav", "mp3", "ogg", "oga", "opus", "m4a", "aac", "amr", "flac", "gsm", "au", "wma", "mp4", "m4v", "mov", "webm",
    "mkv", "avi", "3gp", "m3u8", "jpg", "jpeg", "png", "gif", "webp", "bmp", "heic", "svg", "pdf", "vcf", "zip",
];

/// How a link's name ends, whatever its case and whether its words are joined: `recordingUrl`,
/// `callback_url`, `fileLinks`, `_links`.
const NAME_ENDINGS: [&str; 8] = ["url", "urls", "uri", "uris", "href", "hrefs", "link", "links"];

/// Whether a member's name says that it holds a link. A number behind it counts several of them.
pub fn is_link_name(name: &str) -> bool {
    let name = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '_').as_bytes();
    let ends_with = |ending: &&str| {
        let last = name.len().checked_sub(ending.len()).and_then(|start| name.get(start..));
        last.is_some_and(|last| last.eq_ignore_ascii_case(ending.as_bytes()))
    };
    // Most names end otherwise.
    let may_end = matches!(name.last().map(u8::to_ascii_lowercase), Some(b'l' | b's' | b'i' | b'f' | b'k'));
    may_end && (NAME_ENDINGS.iter().any(ends_with) || name.eq_ignore_ascii_case(b"_self"))
}

/// Whether a text is a link or begins with one, or is JSON in which a text does. `hosts` are those on which
/// the provider keeps its files: a path there needs no scheme to be a link.
pub fn is_link(text: &str, hosts: &[&str]) -> bool {
    let text = text.trim_start();
    // Most texts are short words, and are told by this.
    let bytes = text.as_bytes();
    if !bytes.contains(&b'/') && !bytes.contains(&b'%') && !starts_with(text, "www.") {
        return false;
    }
    if text.starts_with(['{', '[', '"']) {
        // Escapes hide slashes and quotes, and text in text has escapes of escapes.
        return text.replace('\\', "").split('"').any(|part| begins_with_link(part, hosts));
    }
    begins_with_link(text, hosts)
}

fn begins_with_link(text: &str, hosts: &[&str]) -> bool {
    let text = text.trim_start_matches(|first: char| first.is_whitespace() || "<'([{".contains(first));
    has_scheme(text) || is_without_scheme(text, hosts)
}

/// `https://` and its likes, also percent-encoded.
fn has_scheme(text: &str) -> bool {
    let end = text.bytes().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(end);
    let separated = ["://", "%3a%2f%2f"].iter().any(|separator| starts_with(rest, separator));
    separated && SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

fn is_without_scheme(text: &str, hosts: &[&str]) -> bool {
    let relative = text.strip_prefix("//");
    let text = relative.unwrap_or(text);
    let text = text.split(char::is_whitespace).next().unwrap_or_default();
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (place, path) = text.split_at(end);
    let host = place.split_once(':').map_or(place, |(host, _)| host);
    if !is_host(host) {
        return false;
    }
    let at_home = path.len() > 1 && hosts.iter().any(|known| is_below(host, known));
    relative.is_some() || starts_with(host, "www.") || at_home || ends_as_media(path)
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.contains('.') && text.split('.').all(is_label)
}

fn is_below(host: &str, known: &str) -> bool {
    let start = host.len().checked_sub(known.len());
    let Some((front, end)) = start.and_then(|start| host.split_at_checked(start)) else { return false };
    end.eq_ignore_ascii_case(known) && (front.is_empty() || front.ends_with('.'))
}

fn ends_as_media(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.rsplit_once('.').is_some_and(|(_, ending)| MEDIA.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [&str; 1] = ["files.example"];

    #[test]
    fn links_are_told_by_their_names() {
        for name in [
            "url",
            "URL",
            "recordingUrl",
            "callback_url",
            "RecordingURL",
            "source_uri",
            "href",
            "link",
            "recordingLink",
            "recording_link",
            "fileLinks",
            "_links",
            "links",
            "_self",
            "url2",
            "media_url_1",
            "Recording link",
        ] {
            assert!(is_link_name(name), "{name}");
        }
        for name in ["", "self", "media", "linked_id", "urlExpiry", "id", "purlieu"] {
            assert!(!is_link_name(name), "{name}");
        }
    }

    #[test]
    fn links_are_told_by_their_values() {
        for text in [
            "https://storage.example/1",
            " HTTP://storage.example/1 is where it lies",
            "<https://storage.example/1>",
            "'ftp://storage.example/1'",
            "s3://bucket/key",
            "https%3A%2F%2Fstorage.example%2F1",
            "//storage.example/1",
            "www.storage.example",
            "files.example/1",
            "a.FILES.example:8443/1?x=y",
            "storage.example/a/1.WAV",
            "storage.example/1.mp3?signature=x",
            "10.1.2.3:8080/1.wav",
            r#"{"media":"https://storage.example/1"}"#,
            r#"{"media":"https:\/\/storage.example\/1"}"#,
            r#"[1,"storage.example/1.wav"]"#,
            r#"{"text":"{\"media\":\"https://storage.example/1\"}"}"#,
            r#""https://storage.example/1""#,
        ] {
            assert!(is_link(text, &HOSTS), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_links() {
        for text in [
            "",
            "See https://storage.example/1",
            "https",
            "a://b",
            "files.example",
            "otherfiles.example/1",
            "1.wav",
            "sounds/1.wav",
            "application/vnd.ms-excel",
            "Mozilla/5.0",
            "Client.Software/44.5",
            "ann@files.example/1",
            "12/5",
            "ä.é/1.wav",
            r#"{"media":"see https://storage.example/1","a":"b/c"}"#,
        ] {
            assert!(!is_link(text, &HOSTS), "{text}");
        }
    }
}
