//! Where webhooks are sent to, and with what they are signed: by a source of the configuration, or by options.

use secrecy::{ExposeSecret as _, SecretString};

use super::super::Context;
use super::super::dev::DEMO_ACCOUNT;
use super::Send;
use crate::config::{Settings, Source};
use crate::provider::ProviderInfo;
use crate::provider::simulate::Credentials;

/// Where to, and on whose behalf.
pub(super) struct Target {
    pub(super) url: String,
    pub(super) credentials: Credentials,
    /// The token of a source that takes unsigned requests, where the provider itself could sign.
    pub(super) token: Option<String>,
}

impl Send {
    pub(super) fn target(&self, info: &'static ProviderInfo, context: &Context) -> anyhow::Result<Target> {
        if let Some(name) = &self.source {
            let settings = context.load()?.settings;
            let source = settings.sources.iter().find(|source| source.name == *name);
            let source = source.ok_or_else(|| anyhow::anyhow!("the configuration has no source {name:?}"))?;
            return self.target_of_source(info, &settings, source);
        }
        let secret = self.secret.as_ref().map(|written| crate::config::Secret::resolve(written, &context.environment));
        let secret = secret.transpose().map_err(anyhow::Error::msg)?.map(|secret| secret.value);
        anyhow::ensure!(secret.is_some(), "--secret or --source is needed; `trunkline dev` prints its secrets");
        let url = self.url_or(|| format!("http://127.0.0.1:8080/webhooks/{}-demo", info.name));
        Ok(Target { url, credentials: self.credentials(None, secret, None), token: None })
    }

    fn target_of_source(
        &self,
        info: &'static ProviderInfo,
        settings: &Settings,
        source: &Source,
    ) -> anyhow::Result<Target> {
        anyhow::ensure!(source.info.name == info.name, "the source {} is one of {}", source.name, source.info.title);
        let url = self.url_or(|| format!("{}/webhooks/{}", settings.base_url(), source.name));
        let secret = if info.signs { &source.signature_secret } else { &source.url_token };
        let token = source.url_token.as_ref().filter(|_| secret.is_none()).map(|token| self.shown_token(token));
        let credentials = self.credentials(source.account_id.clone(), secret.clone(), source.signature_method);
        Ok(Target { url, credentials, token })
    }

    /// A slash at the end is as none, and a token may have to follow.
    fn url_or(&self, default: impl FnOnce() -> String) -> String {
        let url = self.url.clone().unwrap_or_else(default);
        url.trim_end_matches('/').to_owned()
    }

    fn shown_token(&self, token: &SecretString) -> String {
        let wrong = if self.tamper { "-tampered" } else { "" };
        format!("{}{wrong}", token.expose_secret())
    }

    fn credentials(
        &self,
        account: Option<String>,
        secret: Option<SecretString>,
        signature_method: Option<&'static str>,
    ) -> Credentials {
        let account_id = self.account.clone().or(account).unwrap_or_else(|| DEMO_ACCOUNT.to_owned());
        Credentials { account_id, secret, signature_method, tamper: self.tamper }
    }
}
