//! Where an answer of v3 goes on, if it does not hold everything.

use crate::wire::{Query, encode_key, json};

/// Where a channel goes on behind an answer.
pub struct More<'a> {
    /// The channel, as the call named it.
    pub name: &'a str,
    /// The timetoken to go on from.
    pub token: u64,
}

/// Where to go on with the actions of one channel (§7.2), as a URL that asks for the same in the same direction, and by its
/// parts.
pub fn more(out: &mut Vec<u8>, path: &str, query: &Query, cursor: &str, limit: u32, more: &More) {
    let mut url = path.as_bytes().to_vec();
    encode_key(more.name, &mut url);
    url.extend_from_slice(format!("?{cursor}={}", more.token).as_bytes());
    for name in KEPT {
        if let Some(value) = query.get(name) {
            url.extend_from_slice(format!("&{name}=").as_bytes());
            encode_key(value, &mut url);
        }
    }
    out.extend_from_slice(b",\"more\":{\"url\":");
    json::string(out, &String::from_utf8_lossy(&url));
    out.push(b',');
    write_cursor(out, cursor, more.token);
    out.extend_from_slice(b",\"max\":");
    json::number(out, limit.into());
    out.push(b'}');
}

/// The parameters that say what a fetch is for and how it is shown, but for its cursor.
const KEPT: [&str; 11] = [
    "max",
    "end",
    "reverse",
    "limit",
    "author",
    "type",
    "include_meta",
    "include_uuid",
    "include_message_type",
    "include_custom_message_type",
    "encode_channels",
];

/// Writes the cursor as a member of an object.
pub fn write_cursor(out: &mut Vec<u8>, cursor: &str, token: u64) {
    json::string(out, cursor);
    out.push(b':');
    json::token(out, token);
}
