//! JSONP (`protocols/pubnub.md` §1.4): `0` means none, any other name asks for `name(<json>)`.

use crate::{error::Refusal, limits};
use bytes::Bytes;

/// The function that a JSONP client wants called with the answer.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Callback(Option<Box<str>>);

impl Callback {
    /// No callback: plain JSON.
    pub const NONE: Callback = Callback(None);

    /// A callback as sent. Names are dotted identifiers, so that an answer can never be read as other code.
    pub fn parse(text: &str) -> Result<Callback, Refusal> {
        if text == "0" || text.is_empty() {
            return Ok(Callback::NONE);
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.');
        let starts_well = !text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        if text.len() > limits::CALLBACK_BYTES || !starts_well || !text.bytes().all(plain) {
            return Err(Refusal::Argument("callback"));
        }
        Ok(Callback(Some(text.into())))
    }

    /// The answer as the client wants it.
    pub fn wrap(&self, json: impl Into<Bytes>) -> Bytes {
        let json = json.into();
        match &self.0 {
            None => json,
            Some(name) => [name.as_bytes(), b"(", &json, b")"].concat().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_wrapped_only_when_asked() {
        assert_eq!(Callback::parse("0").unwrap().wrap(b"[1]".to_vec()), b"[1]".as_slice());
        assert_eq!(Callback::parse("app.on_time").unwrap().wrap(b"[1]".to_vec()), b"app.on_time([1])".as_slice());
    }

    #[test]
    fn a_callback_is_a_name_and_nothing_else() {
        for wrong in ["alert(1)//", "a b", "1a", "<script>", ".a", &"x".repeat(99)] {
            assert!(Callback::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
