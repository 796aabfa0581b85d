//! Copies of recordings: `[sources.recordings]`.

use url::Url;

use crate::section::Section;
use crate::settings::recordings::{RecordingsOptions, S3Options};

/// A week.
const GREATEST_DELAY_S: i64 = 604_800;

pub(super) fn source_recordings(mut section: Section<'_>, has_recordings: bool) -> Option<RecordingsOptions> {
    section.heading("[sources.recordings]");
    let copy_to = copy_to(&mut section);
    let delay_s = section.number_or("delay_s", 300, 0..=GREATEST_DELAY_S);
    let s3 = section.section_if_present("s3").map(s3);
    if !has_recordings {
        let mend = "needs the credentials of a provider's API that has recordings; the provider's page names the keys";
        section.problem("", mend.to_owned());
    }
    if !cfg!(feature = "object-store") {
        section.problem("copy_to", "this program was built without the feature object-store".to_owned());
    }
    let options = copy_to.map(|copy_to| RecordingsOptions { copy_to, delay_s, s3: s3.unwrap_or_default() });
    section.finish();
    options
}

fn copy_to(section: &mut Section<'_>) -> Option<Url> {
    let Some(text) = section.text("copy_to") else {
        if !section.has_problem("copy_to") {
            section.problem("copy_to", "is missing: \"file:///folder\" or \"s3://bucket/prefix\"".to_owned());
        }
        return None;
    };
    let url = Url::parse(&text).ok().filter(|url| match url.scheme() {
        "file" => url.host().is_none() && url.path().starts_with('/'),
        "s3" => url.has_host() && url.username().is_empty() && url.password().is_none() && url.port().is_none(),
        _ => false,
    });
    let url = url.filter(|url| url.query().is_none() && url.fragment().is_none());
    if url.is_none() {
        section.problem("copy_to", "expected \"file:///folder\" or \"s3://bucket/prefix\"".to_owned());
    }
    url
}

fn s3(mut section: Section<'_>) -> S3Options {
    let endpoint = section.text("endpoint");
    let parsed = endpoint.as_deref().and_then(|text| Url::parse(text).ok());
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if endpoint.is_some() && parsed.is_none() {
        section.problem("endpoint", "expected a URL such as \"https://s3.example.com\"".to_owned());
    }
    let options = S3Options {
        region: section.text("region"),
        endpoint: parsed,
        access_key_id: section.text("access_key_id"),
        secret_access_key: section.secret("secret_access_key").map(|secret| secret.value),
    };
    if options.access_key_id.is_some() != options.secret_access_key.is_some() {
        section.problem("access_key_id", "and secret_access_key belong together".to_owned());
    }
    section.finish();
    options
}

#[cfg(test)]
mod tests {
    use crate::config::load_text;

    const SOURCE: &str = "[[sources]]\nname = \"t\"\nprovider = \"telphin\"\naccount_id = \"999\"\n\
                          url_tokens = [\"a-long-random-token\"]\n";
    const KEYS: &str = "client_id = \"app\"\nclient_secret = \"a-secret-of-the-app\"\n";

    fn load(keys: &str, recordings: &str) -> Result<crate::config::Loaded, String> {
        let text = format!("{SOURCE}{keys}[sources.recordings]\n{recordings}");
        load_text("test", &text, &crate::config::Environment::default()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_folder_and_a_bucket_are_places_for_copies() {
        for copy_to in ["file:///var/lib/recordings", "s3://bucket", "s3://bucket/a/prefix"] {
            let loaded = load(KEYS, &format!("copy_to = \"{copy_to}\"\n")).unwrap();
            let options = loaded.settings.sources[0].recordings.as_ref().unwrap();
            assert_eq!((options.copy_to.as_str(), options.delay_s), (copy_to, 300));
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_no_secret_with_it() {
        for (keys, recordings, told) in [
            (KEYS, "", "copy_to: is missing"),
            (KEYS, "copy_to = \"https://example.com/x\"", "copy_to: expected"),
            (KEYS, "copy_to = \"s3://user:hunter2@bucket\"", "copy_to: expected"),
            (KEYS, "copy_to = \"file://host/x\"", "copy_to: expected"),
            ("", "copy_to = \"s3://bucket\"", "needs the credentials"),
            (KEYS, "copy_to = \"s3://bucket\"\ndelay_s = -1", "delay_s: expected"),
            (KEYS, "copy_to = \"s3://bucket\"\n[sources.recordings.s3]\naccess_key_id = \"k\"", "belong together"),
            (KEYS, "copy_to = \"s3://bucket\"\n[sources.recordings.s3]\nendpoint = \"ftp://x\"", "endpoint: expected"),
        ] {
            let problems = load(keys, recordings).err().unwrap_or_else(|| panic!("{recordings} is accepted"));
            assert!(problems.contains(told) && !problems.contains("hunter2"), "{recordings}: {problems}");
        }
    }
}
