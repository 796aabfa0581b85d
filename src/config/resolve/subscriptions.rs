//! Webhooks at the provider: `[sources.subscriptions]`.

use crate::provider::api::Api;
use crate::section::Section;
use crate::settings::subscriptions::SubscriptionsOptions;

/// A month.
const GREATEST_INTERVAL_S: i64 = 2_592_000;

/// `api` is that of the source. Without a public URL the provider would be told to call what only we can reach.
pub(super) fn source_subscriptions(
    mut section: Section<'_>,
    api: Option<&dyn Api>,
    has_public_url: bool,
) -> SubscriptionsOptions {
    section.heading("[sources.subscriptions]");
    let options = SubscriptionsOptions {
        keep: section.flag_or("keep", false),
        every_s: section.number_or("every_s", 86_400, 60..=GREATEST_INTERVAL_S),
    };
    if options.keep && api.and_then(Api::subscriptions).is_none() {
        let mend = "needs the credentials of a provider's API that has webhooks; the provider's page names the keys";
        section.problem("keep", mend.to_owned());
    }
    if options.keep && !has_public_url {
        section.problem("keep", "needs server.public_url, which is what the provider is told to call".to_owned());
    }
    section.finish();
    options
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, load_text};
    use crate::settings::subscriptions::SubscriptionsOptions;

    const SOURCE: &str = "[[sources]]\nname = \"t\"\nprovider = \"telphin\"\naccount_id = \"999\"\n\
                          url_tokens = [\"a-long-random-token\"]\n";
    const KEYS: &str = "client_id = \"app\"\nclient_secret = \"a-secret-of-the-app\"\n";
    const PUBLIC: &str = "[server]\npublic_url = \"https://hooks.example.com\"\n";

    fn load(server: &str, keys: &str, subscriptions: &str) -> Result<SubscriptionsOptions, String> {
        let text = format!("{server}{SOURCE}{keys}[sources.subscriptions]\n{subscriptions}");
        let loaded = load_text("test", &text, &Environment::default()).map_err(|problems| problems.to_string())?;
        Ok(loaded.settings.sources[0].subscriptions.unwrap())
    }

    #[test]
    fn webhooks_are_kept_where_that_is_said() {
        let options = load(PUBLIC, KEYS, "keep = true\nevery_s = 3600\n").unwrap();
        assert_eq!(options, SubscriptionsOptions { keep: true, every_s: 3600 });
        assert_eq!(load("", "", "").unwrap(), SubscriptionsOptions { keep: false, every_s: 86_400 });
    }

    #[test]
    fn what_is_missing_for_it_is_told() {
        for (server, keys, subscriptions, told) in [
            ("", KEYS, "keep = true", "keep: needs server.public_url"),
            (PUBLIC, "", "keep = true", "keep: needs the credentials"),
            (PUBLIC, KEYS, "every_s = 59", "every_s: expected a whole number from 60 to 2592000"),
        ] {
            let problems = load(server, keys, subscriptions).unwrap_err();
            assert!(problems.contains(told), "{problems}");
        }
    }
}
