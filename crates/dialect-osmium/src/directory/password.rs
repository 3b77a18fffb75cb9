//! Passwords: kept as Argon2id hashes with the parameters that OWASP recommends, never as they are.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use edge::Secret;
use model::{Error, Result};
use rand::RngExt;
use serde::{Deserialize, Serialize};

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// 19 MiB, 2 passes, 1 lane.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hashed {
    salt: String,
    hash: String,
}

impl Hashed {
    /// Hashes a password under a new salt. Takes some milliseconds of a thread.
    pub fn new(password: &str) -> Result<Hashed> {
        let salt: [u8; SALT_BYTES] = rand::rng().random();
        Ok(Hashed { salt: STANDARD_NO_PAD.encode(salt), hash: hash(password, &salt)? })
    }

    /// Whether this is the password. Takes some milliseconds of a thread.
    pub fn is(&self, password: &str) -> bool {
        let Ok(salt) = STANDARD_NO_PAD.decode(&self.salt) else { return false };
        hash(password, &salt).is_ok_and(|hash| Secret::new(hash).is(self.hash.as_bytes()))
    }
}

fn hash(password: &str, salt: &[u8]) -> Result<String> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).expect("the parameters are within their bounds");
    let mut hash = [0; HASH_BYTES];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(STANDARD_NO_PAD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let hashed = Hashed::new("correct horse").expect("it is hashed");
        assert!(hashed.is("correct horse"));
        assert!(!hashed.is("correct horsf"));
        assert!(!hashed.is(""));
        assert_ne!(hashed, Hashed::new("correct horse").expect("it is hashed"), "each has its own salt");
    }
}
