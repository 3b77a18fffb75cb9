//! Client ids (`protocols/scaledrone.md` §1): one per connection, never used again, safe in a path as they stand.
//!
//! `hCzb:J2FnbcIG` and eight more digits: those prove under the channel's secret that this server gave out the id, so
//! that it is known again after a restart.

use crate::settings::Settings;
use edge::Secret;
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use sha2::Sha256;
use std::fmt::Write;

const PREFIX_CHARACTERS: usize = 4;
const RANDOM_CHARACTERS: usize = 8;
const PROOF_BYTES: usize = 4;

/// Draws client ids of one channel and knows them again.
pub struct ClientIds {
    channel: String,
    secret: Option<Secret>,
}

impl ClientIds {
    /// The ids of the channel with these settings.
    pub fn new(settings: &Settings) -> ClientIds {
        ClientIds { channel: settings.channel.clone(), secret: settings.secret.clone() }
    }

    /// An id that was never drawn before: 71 random bits.
    pub fn draw(&self) -> String {
        let mut rng = rand::rng();
        let mut run =
            |length: usize| (0..length).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect::<String>();
        let mut id = format!("{}:{}", run(PREFIX_CHARACTERS), run(RANDOM_CHARACTERS));
        id += &self.proof(&id);
        id
    }

    /// Whether an id was drawn under this channel's secret, by this program or one before it.
    pub fn are_ours(&self, id: &str) -> bool {
        let split = id.split_at_checked(PREFIX_CHARACTERS + 1 + RANDOM_CHARACTERS);
        split.is_some_and(|(drawn, proof)| Secret::new(self.proof(drawn)).is(proof.as_bytes()))
    }

    fn proof(&self, drawn: &str) -> String {
        let key = self.secret.as_ref().map_or("", Secret::expose);
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
        for part in ["client id", &self.channel, drawn] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        let mut proof = String::new();
        for byte in mac.finalize().into_bytes().iter().take(PROOF_BYTES) {
            write!(proof, "{byte:02x}").expect("writing to a string does not fail");
        }
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::AppId;

    #[test]
    fn ids_are_clean_different_and_known_again() {
        let ids = |channel: &str, secret: &str| {
            ClientIds::new(&Settings::new(AppId::new("a").unwrap(), channel, Some(Secret::new(secret))))
        };
        let (ours, again) = (ids("ch", "s3cret"), ids("ch", "s3cret"));
        let (id, other) = (ours.draw(), ours.draw());
        assert_ne!(id, other);
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':'), "{id}");
        assert!(again.are_ours(&id));
        assert!(!ids("ch", "other").are_ours(&id));
        assert!(!ids("ch2", "s3cret").are_ours(&id));
        let forged = format!("{}0000", &id[..id.len() - 4]);
        for foreign in ["", "a:b", "hCzb:J2FnbcIG00000000", "ééééééééééééé", forged.as_str()] {
            assert!(!again.are_ours(foreign), "{foreign}");
        }
    }
}
