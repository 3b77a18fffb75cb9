//! The channels, authors, records and texts of a random run.

use super::steps::AUTHORS;
use crate::{app, channel, setting, user};
use model::{AppId, Author, Channel, ChannelName, RecordKey, RecordKind, UserId};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::sync::Arc;

/// The channels of a run: names of one beginning, and one of each other sort.
pub(super) fn room(n: u8) -> Channel {
    match n {
        6 => Channel { app: app(), name: ChannelName::Member(1, 2) },
        7 => Channel { app: app(), name: ChannelName::direct("ann", "bob") },
        3 => channel("röom/🎉"),
        2 => channel("room/"),
        5 => Channel { app: AppId::new("demo2").expect("the name is valid"), ..channel("room/5") },
        n => channel(&format!("room/{n}")),
    }
}

/// The last two differ only in what was proved.
pub(super) fn author_of(n: u8) -> UserId {
    UserId { verified: n < 2, ..user(&format!("user {}", n.min(1))) }
}

/// Whose messages are asked for: one of the authors, all of an id, or one whether proved or not.
pub(super) fn filter_of(n: u8) -> Author {
    let user = author_of(n % AUTHORS);
    match n / AUTHORS {
        0 => Author::exactly(&user),
        1 => Author::person(&user),
        _ => Author { id: user.id, origin: None, verified: None },
    }
}

pub(super) fn type_of(n: u8) -> Arc<str> {
    format!("type {n}").into()
}

/// The value of a reaction.
pub(super) fn value_of(n: u8) -> Arc<str> {
    format!("value {n}").into()
}

pub(super) fn record_key(n: u8) -> RecordKey {
    let kind = if n < 9 { RecordKind::Setting } else { RecordKind::Grant };
    RecordKey { kind, ..setting(&[b'r', 0, n / 4, n]) }
}

/// A text of so many bytes that differs from others and does not compress to nothing.
pub(super) fn text(size: u32, salt: u64) -> String {
    let mut bytes = vec![0; size as usize];
    SmallRng::seed_from_u64(salt).fill_bytes(&mut bytes);
    bytes.into_iter().map(|byte| char::from(b' ' + byte % 64)).collect()
}
