//! The text of a message: what of its payload people would call words.

use crate::settings::MESSAGE_BYTES;
use model::{Message, PayloadForm};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// The text of a message: that of a plain payload, or the texts and numbers that a JSON payload holds at any depth, one a
/// line, without the names of its members.
pub(crate) fn text_of(message: &Message) -> Cow<'_, str> {
    let whole = String::from_utf8_lossy(&message.payload.bytes);
    let text = match message.payload.form {
        PayloadForm::Text => whole,
        PayloadForm::Json => match serde_json::from_slice::<Leaves>(&message.payload.bytes) {
            Ok(leaves) => Cow::Owned(leaves.0),
            // What is nested deeper than the parser goes is searched as it is spelled.
            Err(_) => whole,
        },
    };
    match text.len() > MESSAGE_BYTES {
        true => Cow::Owned(text[..text.floor_char_boundary(MESSAGE_BYTES)].to_owned()),
        false => text,
    }
}

/// All texts and numbers of a JSON value.
#[derive(Default)]
struct Leaves(String);

impl Leaves {
    fn add(&mut self, text: &str) {
        if !self.0.is_empty() && !text.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(text);
    }
}

impl<'de> Deserialize<'de> for Leaves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Leaves, D::Error> {
        deserializer.deserialize_any(LeavesVisitor)
    }
}

struct LeavesVisitor;

impl<'de> Visitor<'de> for LeavesVisitor {
    type Value = Leaves;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Leaves, E> {
        Ok(Leaves::default())
    }

    fn visit_unit<E: Error>(self) -> Result<Leaves, E> {
        Ok(Leaves::default())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Leaves, E> {
        Ok(Leaves(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Leaves, E> {
        Ok(Leaves(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Leaves, E> {
        Ok(Leaves(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Leaves, E> {
        Ok(Leaves(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Leaves, A::Error> {
        let mut all = Leaves::default();
        while let Some(leaves) = seq.next_element::<Leaves>()? {
            all.add(&leaves.0);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Leaves, A::Error> {
        let mut all = Leaves::default();
        while let Some((_, leaves)) = map.next_entry::<serde::de::IgnoredAny, Leaves>()? {
            all.add(&leaves.0);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Id, Kind, Payload, Seq};

    fn text(form: PayloadForm, payload: &str) -> String {
        let message = Message {
            id: Id::MIN,
            seq: Seq::NONE,
            author: None,
            recipient: None,
            payload: Payload { form, bytes: payload.to_owned().into() },
            kind: Kind::Message,
            custom_type: None,
            extras: None,
            edited_at: None,
            expires_at: None,
        };
        text_of(&message).into_owned()
    }

    #[test]
    fn json_gives_its_values_and_not_its_names() {
        assert_eq!(text(PayloadForm::Text, "{\"a\":1}"), "{\"a\":1}");
        assert_eq!(text(PayloadForm::Json, "\"h\\u00e9 \\\"you\\\"\""), "hé \"you\"");
        let value = r#"{"text":"hello","to":["ann",{"age":42,"ok":true,"x":null}],"n":-1.5}"#;
        assert_eq!(text(PayloadForm::Json, value), "hello\nann\n42\n-1.5");
        assert_eq!(text(PayloadForm::Json, "null"), "");
    }

    #[test]
    fn what_is_nested_too_deeply_or_too_long_is_no_trouble() {
        let deep = format!("{}\"x\"{}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(text(PayloadForm::Json, &deep), deep);
        let long = "é".repeat(MESSAGE_BYTES);
        assert_eq!(text(PayloadForm::Text, &long).len(), MESSAGE_BYTES);
    }
}
