//! Tokens of a provider, sealed in the state topic, so that whoever asks next finds the newest.

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::state::State;
use super::vault::{SealingNonce, Vault};
use crate::event::time::Time;
use crate::outbound::access::{NotKept, NotRead, Tokens, Vault as TokenVault};

/// Keeps the tokens of one source.
#[derive(Debug)]
pub struct StateVault {
    state: State,
    vault: Vault,
    key: String,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    access: String,
    since: Time,
    until: Time,
    refresh: Option<String>,
    refresh_until: Option<Time>,
    seed: String,
}

impl StateVault {
    /// Keeps tokens of a source by this name.
    pub fn new(state: State, vault: Vault, source_name: &str) -> Self {
        Self { state, vault, key: format!("token/{source_name}") }
    }

    async fn read(&self) -> Result<Option<Tokens>, NotRead> {
        let value = self.state.read(&self.key).await.map_err(|error| {
            tracing::warn!(%error, record.key = self.key, "the kept token can not be read");
            NotRead
        })?;
        let Some(value) = value else { return Ok(None) };
        match self.vault.open(&self.key, &value) {
            Ok(text) => Ok(tokens_of(&text)),
            Err(error) => {
                tracing::warn!(%error, record.key = self.key, "the kept token can not be opened, and is taken for none");
                Ok(None)
            }
        }
    }

    async fn write(&self, tokens: &Tokens) -> Result<(), NotKept> {
        let sealed = self.vault.seal(&self.key, &text_of(tokens), SealingNonce::random()).map_err(|error| {
            tracing::error!(%error, record.key = self.key, "a token can not be sealed");
            NotKept
        })?;
        self.state.write(self.key.clone(), sealed).await.map_err(|error| {
            tracing::error!(%error, record.key = self.key, "a token can not be kept");
            NotKept
        })
    }
}

impl TokenVault for StateVault {
    fn load(&self) -> BoxFuture<'_, Result<Option<Tokens>, NotRead>> {
        Box::pin(self.read())
    }

    fn keep(&self, tokens: Tokens) -> BoxFuture<'_, Result<(), NotKept>> {
        Box::pin(async move { self.write(&tokens).await })
    }
}

fn text_of(tokens: &Tokens) -> SecretString {
    let kept = Kept {
        access: tokens.access.expose_secret().to_owned(),
        since: tokens.since,
        until: tokens.until,
        refresh: tokens.refresh.as_ref().map(|refresh| refresh.expose_secret().to_owned()),
        refresh_until: tokens.refresh_until,
        seed: hex::encode(tokens.seed),
    };
    // Texts and times can always be written.
    serde_json::to_string(&kept).unwrap_or_default().into()
}

fn tokens_of(text: &SecretString) -> Option<Tokens> {
    let kept: Kept = serde_json::from_str(text.expose_secret()).ok()?;
    let mut seed = [0; 32];
    hex::decode_to_slice(kept.seed, &mut seed).ok()?;
    Some(Tokens {
        access: kept.access.into(),
        since: kept.since,
        until: kept.until,
        refresh: kept.refresh.map(Into::into),
        refresh_until: kept.refresh_until,
        seed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_kept() {
        let at = Time::parse_iso("2026-02-03T10:00:00Z").unwrap();
        let tokens = Tokens {
            access: "access".into(),
            since: at,
            until: at.plus_s(600),
            refresh: Some("refresh".into()),
            refresh_until: None,
            seed: [7; 32],
        };
        let read = tokens_of(&text_of(&tokens)).unwrap();
        assert_eq!((read.access.expose_secret(), read.since, read.until), ("access", at, at.plus_s(600)));
        assert_eq!(read.refresh.unwrap().expose_secret(), "refresh");
        assert_eq!((read.refresh_until, read.seed), (None, [7; 32]));
        assert!(tokens_of(&"{}".into()).is_none() && tokens_of(&"nonsense".into()).is_none());
    }
}
