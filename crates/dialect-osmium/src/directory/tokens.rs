//! Tokens that the directory gives out: the user, the generation of its tokens, and a MAC under the realm's key over
//! both. Nothing of them is kept; a new generation makes all older ones worthless.

use super::User;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use edge::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const MARK: &str = "osm1";

/// A realm's key for its tokens.
#[derive(Clone)]
pub struct TokenKey(pub [u8; 32]);

impl TokenKey {
    /// The token of a user.
    pub fn token(&self, user: &User) -> String {
        format!("{MARK}.{}.{}.{}", user.id, user.generation, self.mac(user.id, user.generation))
    }

    /// Whom a token is for, and its generation, if it was made under this key.
    pub fn verify(&self, token: &str) -> Option<(u64, u64)> {
        let mut parts = token.split('.');
        if parts.next() != Some(MARK) {
            return None;
        }
        let id = parts.next()?.parse().ok()?;
        let generation = parts.next()?.parse().ok()?;
        let shown = parts.next().filter(|_| parts.next().is_none())?;
        Secret::new(self.mac(id, generation)).is(shown.as_bytes()).then_some((id, generation))
    }

    fn mac(&self, id: u64, generation: u64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(&id.to_le_bytes());
        mac.update(&generation.to_le_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}
