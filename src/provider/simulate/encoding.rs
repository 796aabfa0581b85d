//! The encodings in which a provider writes what it tells, between a tree of JSON and a request.

use std::borrow::Cow;

use form_urlencoded::Serializer;
use serde_json::{Map, Value};

use super::SignedRequest;
use crate::request::Method;

/// How a webhook carries its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// POST of JSON.
    Json,
    /// POST of a form (`application/x-www-form-urlencoded`).
    Form,
    /// GET, with the members as parameters of the query.
    Get,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 3] = [Self::Json, Self::Form, Self::Get];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Form => "form",
            Self::Get => "get",
        }
    }

    /// Writes a body: JSON text, or parameters. Only an object has parameters.
    pub fn write(self, body: &Value) -> Vec<u8> {
        if self == Self::Json {
            return body.to_string().into_bytes();
        }
        let members = body.as_object().into_iter().flatten();
        let parameters = members.map(|(name, value)| (name, as_parameter(value)));
        Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()
    }

    /// Reads the members back, if the bytes are an object or parameters. White space around them is none of them.
    pub fn read(self, bytes: &[u8]) -> Option<Map<String, Value>> {
        if self == Self::Json {
            return serde_json::from_slice(bytes).ok();
        }
        let parameters = form_urlencoded::parse(bytes.trim_ascii());
        Some(parameters.map(|(name, value)| (name.into_owned(), value.into())).collect())
    }

    /// The request that carries bytes which are written so, without a signature.
    pub fn request(self, bytes: Vec<u8>) -> SignedRequest {
        let (query, body, media_type) = match self {
            Self::Json => (String::new(), bytes, Some("application/json")),
            Self::Form => (String::new(), bytes, Some("application/x-www-form-urlencoded")),
            Self::Get => (String::from_utf8_lossy(bytes.trim_ascii()).into_owned(), Vec::new(), None),
        };
        let method = if self == Self::Get { Method::Get } else { Method::Post };
        let headers = media_type.map(|media_type| ("content-type", media_type.to_owned()));
        SignedRequest { method, url_token: None, query, headers: headers.into_iter().collect(), body }
    }
}

/// The text of a value as a parameter: text as it is, nothing for `null`, and the JSON text of everything else.
pub fn as_parameter(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        Value::Null => "".into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_any_type_become_form_text() {
        let body = json!({"a": "x y&+", "b": null, "c": 1, "d": [true], "é": "*"});
        for encoding in [Encoding::Form, Encoding::Get] {
            assert_eq!(encoding.write(&body), b"a=x+y%26%2B&b=&c=1&d=%5Btrue%5D&%C3%A9=*");
            assert_eq!(encoding.write(&json!(["a"])), b"");
        }
        assert_eq!(Encoding::Json.write(&json!(["a"])), br#"["a"]"#);
    }

    #[test]
    fn a_request_carries_the_bytes_where_its_method_does() {
        let form = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        let json = vec![("content-type", "application/json".to_owned())];
        for (encoding, method, query, body, headers) in [
            (Encoding::Json, Method::Post, "", &b"a=1\n"[..], json),
            (Encoding::Form, Method::Post, "", b"a=1\n", form),
            (Encoding::Get, Method::Get, "a=1", b"", vec![]),
        ] {
            let request = encoding.request(b"a=1\n".to_vec());
            assert_eq!((request.method, request.query.as_str(), request.body.as_slice()), (method, query, body));
            assert_eq!(request.headers, headers);
        }
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for bytes in ["", "[1]", "null", "{"] {
            assert_eq!(Encoding::Json.read(bytes.as_bytes()), None, "{bytes}");
        }
        assert_eq!(Encoding::Form.read(b" \r\n"), Some(Map::new()));
    }

    proptest! {
        #[test]
        fn texts_are_read_back_from_every_encoding(
            texts in prop::collection::hash_map("\\PC{1,8}", ".{0,12}", 0..6),
        ) {
            let members: Map<String, Value> = texts.into_iter().map(|(name, text)| (name, text.into())).collect();
            for encoding in Encoding::ALL {
                let written = encoding.write(&Value::Object(members.clone()));
                prop_assert_eq!(encoding.read(&written), Some(members.clone()));
            }
        }
    }
}
