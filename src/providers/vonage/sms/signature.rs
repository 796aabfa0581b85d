//! `sig`: the signature of the SMS API, one of the parameters that it signs.
//!
//! Source: Vonage, "Signing messages" concept page, and the vendor's client libraries, which differ in what they do
//! with parameters that are empty: both readings are tried.

use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::json::Text;
use crate::verify::hmac::{Algorithm, Encoding, HmacKeys};

/// How the account signs its callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers::vonage) enum Method {
    /// MD5 over the text and the secret behind it.
    Md5Hash,
    /// HMAC.
    Hmac(Algorithm),
}

impl Method {
    /// Its name.
    pub(in crate::providers::vonage) fn name(self) -> &'static str {
        METHODS.iter().find(|(_, method)| *method == self).map_or("", |(name, _)| name)
    }
}

/// The methods by their names in the configuration and in `ingest.scheme`; the first is the default.
pub(in crate::providers::vonage) const METHODS: &[(&str, Method)] = &[
    ("md5hash", Method::Md5Hash),
    ("md5", Method::Hmac(Algorithm::Md5)),
    ("sha1", Method::Hmac(Algorithm::Sha1)),
    ("sha256", Method::Hmac(Algorithm::Sha256)),
    ("sha512", Method::Hmac(Algorithm::Sha512)),
];

/// The secrets of a source, ready to check `sig` with.
#[derive(Debug)]
pub(in crate::providers::vonage) struct Keys {
    method: Method,
    secrets: Vec<SecretString>,
    hmac: HmacKeys,
}

impl Keys {
    pub(in crate::providers::vonage) fn new(method: Method, secrets: &[SecretString]) -> Self {
        let (secrets, hmac) = match method {
            Method::Md5Hash => (secrets.to_vec(), HmacKeys::new(Algorithm::Md5, &[])),
            Method::Hmac(algorithm) => (Vec::new(), HmacKeys::new(algorithm, secrets)),
        };
        Self { method, secrets, hmac }
    }

    /// The method's name.
    pub(super) fn method(&self) -> &'static str {
        self.method.name()
    }

    /// The place of the secret that makes this signature over the parameters, if one does.
    pub(super) fn find(&self, parameters: &[(Text<'_>, Text<'_>)], sig: &str) -> Option<usize> {
        let signature = Encoding::Hex.decode(sig.trim().as_bytes())?;
        let whole = signed_text(parameters, |_| true);
        self.matching(&whole, &signature).or_else(|| {
            let told = signed_text(parameters, |value| !value.trim().is_empty());
            if told == whole { None } else { self.matching(&told, &signature) }
        })
    }

    fn matching(&self, text: &str, signature: &[u8]) -> Option<usize> {
        if self.method != Method::Md5Hash {
            return self.hmac.find(&[text.as_bytes()], signature);
        }
        let matches = |secret: &SecretString| {
            let digest = Md5::new().chain_update(text).chain_update(secret.expose_secret()).finalize();
            bool::from(digest[..].ct_eq(signature))
        };
        self.secrets.iter().position(matches)
    }
}

/// What is signed: `&name=value` of each parameter, sorted by the bytes of the names. In names as in values the two
/// characters that divide them are replaced, or another set of parameters could make the same text.
fn signed_text(parameters: &[(Text<'_>, Text<'_>)], counts: impl Fn(&str) -> bool) -> String {
    let mut sorted: Vec<_> = parameters.iter().filter(|(_, value)| counts(value)).collect();
    sorted.sort_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
    let mut text = String::new();
    for (name, value) in sorted {
        text.push('&');
        text.extend(name.chars().map(undivided));
        text.push('=');
        text.extend(value.chars().map(undivided));
    }
    text
}

fn undivided(character: char) -> char {
    if matches!(character, '&' | '=') { '_' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "my_secret_key_for_testing";

    fn found(method: &str, secret: &str, parameters: &[(&str, &str)], sig: &str) -> Option<usize> {
        let (_, method) = METHODS.iter().find(|(name, _)| *name == method).unwrap();
        let keys = Keys::new(*method, &["another".into(), secret.into()]);
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| (Text::Borrowed(*name), Text::Borrowed(*value))).collect();
        keys.find(&parameters, sig)
    }

    /// Published in the tests of Vonage's libraries for PHP (`SignatureTest`), Node (`signature.ts`) and Ruby.
    #[test]
    fn one_message_is_signed_by_every_method() {
        let parameters = [
            ("to", "13239877404"),
            ("msisdn", "14843472194"),
            ("messageId", "020000001B0FE827"),
            ("text", "Test again"),
            ("type", "text"),
            ("timestamp", "1385047698"),
            ("message-timestamp", "2013-11-21 15:27:30"),
        ];
        for (method, sig) in [
            ("md5hash", "d2e7b1dc968737c5998ad624e02f90b7"),
            ("md5", "DDEBD46008C2D4E93CCE578A332A52D5"),
            ("sha1", "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
            ("sha256", "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330"),
            (
                "sha512",
                "E0D3C650F8C9D1A5C174D10DDDBFB003E561F59B265616208B0487C5D819481CD3C311D59CF6165ECD1139622D5BA3A256C0D763AC4A9AD9144B5A426B94FE82",
            ),
        ] {
            for written in [sig.to_lowercase(), sig.to_uppercase(), format!(" {sig} ")] {
                assert_eq!(found(method, SECRET, &parameters, &written), Some(1), "{method}");
            }
            assert_eq!(found(method, "other", &parameters, sig), None, "{method}");
            assert_eq!(found(method, SECRET, &parameters[1..], sig), None, "{method}");
            assert_eq!(found(method, SECRET, &parameters, &sig.chars().skip(2).collect::<String>()), None, "{method}");
            assert_eq!(found(method, SECRET, &parameters, ""), None, "{method}");
        }
    }

    /// Published by the same library for PHP.
    #[test]
    fn what_divides_parameters_is_replaced_in_values() {
        let first = [
            ("keyword", "TEST"),
            ("message-timestamp", "2017-04-04 22:57:47"),
            ("messageId", "0B00000042AC53BD"),
            ("msisdn", "14843472194"),
            ("nonce", "929d6744-bd28-42c8-b6cf-31d5b4f43732"),
            ("text", "Test with & and ="),
            ("timestamp", "1491346667"),
            ("to", "12192259404"),
            ("type", "text"),
        ];
        assert_eq!(found("md5hash", SECRET, &first, "e06d9763e3fd0b9c31beb5fc2fcb011c"), Some(1));
        let second = [
            ("keyword", "TESTINGS"),
            ("message-timestamp", "2017-04-04 23:05:22"),
            ("messageId", "0C00000027217D5B"),
            ("msisdn", "14843472194"),
            ("nonce", "c4ab6ed2-9bf5-48a0-af91-107e29bdd399"),
            ("text", "Testings"),
            ("timestamp", "1491347122"),
            ("to", "12192259404"),
            ("type", "text"),
        ];
        assert_eq!(found("md5hash", SECRET, &second, "ff933bf31c79ab3fc6a38d100191c48f"), Some(1));
        let third = [
            ("message-timestamp", "2013-11-21 17:37:31"),
            ("messageId", "030000002A267DBB"),
            ("msisdn", "14843472194"),
            ("text", "One more time"),
            ("timestamp", "1385055451"),
            ("to", "14849970568"),
            ("type", "text"),
        ];
        assert_eq!(found("md5hash", SECRET, &third, "83c052a82906ec7c116e16f6d92f7eee"), Some(1));
    }

    /// Published by Vonage's libraries for PHP, Java (`RequestSigningTest`) and Python (`test_auth`).
    #[test]
    fn what_other_libraries_sign_is_accepted() {
        let outbound = [
            ("api_key", "fake_api_key"),
            ("to", "14155550100"),
            ("from", "AcmeInc"),
            ("text", "Test From Nexmo"),
            ("type", "text"),
            ("timestamp", "1540924779"),
        ];
        let java = [("a", "alphabet"), ("b", "bananas"), ("timestamp", "2100")];
        let python = [("param1", "value1"), ("param2", "value2"), ("timestamp", "1234567890")];
        let php = "71efab63122f1d179f51c46bac838fb5";
        for (method, secret, parameters, sig) in [
            ("md5", php, &outbound[..], "51CDAFEBB4BBCE9525B195C1617CB8D2"),
            ("sha1", php, &outbound, "0162AEC64BC183B2E1256545951FE5639DC98020"),
            ("sha256", php, &outbound, "9FEC5EF6D0F2B3D2BB7558B6E4042569823CAB9EA0DD30503472B7B304601975"),
            ("md5hash", "abcde", &java, "7d43241108912b32cc315b48ce681acf"),
            ("md5", "abcde", &java, "e0afe267aefd6dd18a848c1681517a19"),
            ("sha1", "abcde", &java, "b7f749de27b4adcf736cc95c9a7e059a16c85127"),
            ("sha256", "abcde", &java, "8d1b0428276b6a070578225914c3502cc0687a454dfbbbb370c76a14234cb546"),
            ("sha256", "signature_secret", &python, "280c4320703dbc98bfa22db676655ed2acfbfe8792b062ff7622e67f1183c287"),
            ("md5", "signature_secret", &python, "724c2bf6ca423c36e20631b11d1c5753"),
        ] {
            assert_eq!(found(method, secret, parameters, sig), Some(1), "{method} {parameters:?}");
        }
    }

    /// Published by Vonage's library for Java, which leaves empty parameters out; others keep them.
    #[test]
    fn parameters_without_a_value_may_be_signed_or_left_out() {
        let dropped = "a3368bf718ba104dcb392d8877e8eb2b";
        for empty in ["", " "] {
            let parameters = [("a", "alphabet"), ("b", empty), ("timestamp", "2100")];
            assert_eq!(found("md5hash", "abcde", &parameters, dropped), Some(1), "{empty:?}");
            let text = format!("&a=alphabet&b={empty}&timestamp=2100abcde");
            let kept = hex::encode(Md5::digest(text));
            assert_eq!(found("md5hash", "abcde", &parameters, &kept), Some(1), "{empty:?}");
        }
    }

    #[test]
    fn another_set_of_parameters_makes_another_text() {
        let genuine = [("a", "1"), ("b", "2")].map(|(name, value)| (Text::Borrowed(name), Text::Borrowed(value)));
        let forged = [(Text::Borrowed("a=1&b"), Text::Borrowed("2"))];
        assert_ne!(signed_text(&genuine, |_| true), signed_text(&forged, |_| true));
    }
}
