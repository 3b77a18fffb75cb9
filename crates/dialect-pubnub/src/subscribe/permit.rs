//! How long a poll may be held: no longer than the token that it was asked with.

use crate::{auth::Standing, call::Call, grants::Grants};
use std::{future::pending, sync::Arc, time::Duration};
use tokio::sync::watch;

/// The right to go on waiting.
pub struct Permit {
    token: Option<Token>,
}

struct Token {
    text: String,
    grants: Arc<Grants>,
    revocations: watch::Receiver<()>,
}

impl Permit {
    /// The permit of a call, and how long its answer may be held.
    pub fn of(call: &Call) -> (Permit, Duration) {
        let hold = call.settings.hold;
        let (Standing::Token(permissions), Some(text)) = (&call.standing, call.query.get("auth")) else {
            return (Permit { token: None }, hold);
        };
        let left = Duration::from_secs(permissions.expires.saturating_sub(call.now_seconds()));
        let grants = call.grants.clone();
        let token = Token { text: text.to_owned(), revocations: grants.revocations(), grants };
        (Permit { token: Some(token) }, hold.min(left))
    }

    /// Ends when the token was revoked; never without one.
    pub async fn ended(&mut self) {
        let Some(token) = &mut self.token else { return pending().await };
        while !token.grants.is_revoked(&token.text) {
            if token.revocations.changed().await.is_err() {
                return pending().await;
            }
        }
    }
}
