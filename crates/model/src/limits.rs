//! Every bound of the words, in one place. Bounds of queues, pages and sockets that an operator may change are
//! settings of the crate that holds them; these are fixed, because disk formats and wire formats rely on them.

/// Bytes in an app's id.
pub const APP_ID_BYTES: usize = 64;
/// Bytes in a channel's name (PubNub allows 92 characters, Scaledrone and Agora fewer bytes).
pub const CHANNEL_NAME_BYTES: usize = 512;
/// Bytes in a user's id.
pub const USER_ID_BYTES: usize = 256;
/// Bytes in a custom message type.
pub const CUSTOM_TYPE_BYTES: usize = 64;
/// Bytes in a message's payload, whatever the dialect (PubNub's large publish is 2 MiB).
pub const PAYLOAD_BYTES: usize = 2 << 20;
/// Bytes in a message's extras.
pub const EXTRAS_BYTES: usize = 64 << 10;
/// Bytes in the name of a record.
pub const RECORD_NAME_BYTES: usize = 1024;
/// Bytes in the value of a record.
pub const RECORD_VALUE_BYTES: usize = 64 << 10;
/// Bytes in an idempotency key, before it is hashed.
pub const IDEMPOTENCY_KEY_BYTES: usize = 256;
/// Bytes in one batch, before the message that crosses the bound (`store.md` §1).
pub const BATCH_BYTES: usize = 4 << 20;
/// Changes in one batch.
pub const BATCH_CHANGES: usize = 16_384;
/// No stored message has a seq further away from [`crate::Seq::START`], on either side.
pub const SEQ: i64 = 1 << 62;
/// Messages in one page of the store.
pub const PAGE_MESSAGES: u32 = 10_000;
/// Bytes of payload in one page of the store, before the message that crosses the bound.
pub const PAGE_BYTES: usize = 8 << 20;
/// Selectors in one selection.
pub const SELECTORS: usize = 16;
/// Ids that a removal names one by one.
pub const REMOVAL_IDS: usize = 1_000;
/// Ranges of seqs in one removal; a deletion that would need more is refused.
pub const REMOVAL_RANGES: usize = 100_000;
/// Edits that are taken back in one change.
pub const UNEDITED: usize = 1_000;
/// Bytes in a reaction's kind and in its value, each.
pub const REACTION_BYTES: usize = 256;
/// Reactions on one message.
pub const REACTIONS_PER_MESSAGE: usize = 10_000;
/// Bytes in a presence state.
pub const PRESENCE_STATE_BYTES: usize = 16 << 10;
/// Bytes in what a dialect keeps with a connection of a channel.
pub const PRESENCE_DATA_BYTES: usize = 16 << 10;
/// Bytes in the key of a connection.
pub const CONNECTION_KEY_BYTES: usize = 256;
/// Bytes in the name of a group of channels.
pub const GROUP_NAME_BYTES: usize = 256;
