//! Short ways to say names and messages in tests.

use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Id, IdempotencyKey, Origin, RecordKey, RecordKind, UserId};
use std::sync::Arc;

/// What a message may have beside its text.
#[derive(Clone, Default, Debug)]
pub struct Fields {
    /// Who wrote it.
    pub author: Option<UserId>,
    /// To whom, in a direct chat.
    pub recipient: Option<UserId>,
    /// The application's type.
    pub custom_type: Option<Arc<str>>,
    /// A vendor's extras.
    pub extras: Option<Bytes>,
    /// When it is due to be hidden.
    pub expires_at: Option<Id>,
    /// The publisher's key.
    pub key: Option<IdempotencyKey>,
}

/// The app `demo`.
pub fn app() -> AppId {
    AppId::new("demo").expect("the name is valid")
}

/// A channel of [`app`] with a valid name in the clear.
pub fn channel(name: &str) -> Channel {
    Channel { app: app(), name: ChannelName::named(name).expect("tests give valid names") }
}

/// A verified user of the native API with a valid id.
pub fn user(id: &str) -> UserId {
    UserId::new(Origin::Native, id, true).expect("tests give valid ids")
}

/// A setting of [`app`].
pub fn setting(name: &[u8]) -> RecordKey {
    RecordKey { app: app(), kind: RecordKind::Setting, name: name.into() }
}
