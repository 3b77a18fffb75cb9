//! Something that must never be printed or logged, and never compared byte by byte in a time that tells how far it
//! was right.

use std::fmt;
use subtle::ConstantTimeEq;

/// A key, a token, a certificate: what proves something to a dialect.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<Box<str>>) -> Secret {
        Secret(text.into())
    }

    /// Whether somebody showed the same bytes, in a time that depends only on their length.
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }

    /// The text, for deriving keys from it. Never print it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let secret = Secret::new("hush");
        assert!(secret.is(b"hush"));
        assert!(!secret.is(b"hus"));
        assert!(!secret.is(b""));
        assert_eq!(format!("{secret:?}"), "(secret)");
    }
}
