//! What the fuzz targets of `fuzz/` call: any bytes in, and what reading them promises is held. Bytes get the checksum that
//! fits, so that what lies behind it is reached. Not part of the crate's interface.

use crate::{
    block::{self, Block},
    changes, codec,
    device::LogRecord,
    edits, expiring,
    facts::Facts,
    keys::{self, BlockKey},
    lists::{ListKey, node, unlisted::Unlisted},
    reactions,
    removed::{Container, Root},
    rows::{self, ChannelRow},
    sweep::SweepRow,
};
use bytes::Bytes;
use std::sync::Arc;

/// The body of a batch: whatever can be read as changes, and is accepted for writing, can be read again.
pub fn batch(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    let mut found = Vec::new();
    for entry in codec::entries(&body) {
        let Ok(change) = entry.and_then(|(_, entry)| codec::change(&body, &entry)) else { return };
        found.push(Arc::new(change));
    }
    let Ok(written) = codec::Encoder::default().encode(&found) else { return };
    let changes = u32::try_from(found.len()).expect("a change takes a byte at least");
    let record = LogRecord { batch: 1, epoch: 1, reserved: 1, changes, body: written };
    let again = codec::decode(&record).expect("what was written can be read");
    assert_eq!(again.len(), found.len());
}

/// A block: its key, then everything before its checksum. Its contents can be unpacked, or it says that they cannot; what
/// can be unpacked is the same after a rewrite.
pub fn block(input: &[u8]) {
    let Some((key, body)) = input.split_at_checked(BlockKey::BYTES) else { return };
    let Ok(parsed_key) = BlockKey::parse(key) else { return };
    let Ok(read) = Block::parse(key, &block::seal(&parsed_key, body.to_vec())) else { return };
    let Ok(rows) = read.rows() else { return };
    assert_eq!(rows.len(), read.len());
    let (key, value) = block::encode(parsed_key.channel, parsed_key.upto, &rows, true);
    let again = Block::parse(&key.encode(), &value).and_then(|block| block.rows());
    assert!(again.is_ok_and(|again| again == rows));
}

/// The fields of a small row, read as a row of each kind.
pub fn row(input: &[u8]) {
    let key = [0; 24];
    let value = rows::seal(&key, input);
    let _ = ChannelRow::decode(&key, &value);
    let _ = rows::decode_keyed(&key, &value);
    let _ = rows::decode_record(&key, &value);
    let _ = rows::decode_feed(&key, &value);
    let _ = Facts::decode(&key, &value);
    let _ = Container::decode(&key, &value);
    let _ = Root::decode(&key, &value);
    let _ = changes::decode(&key, &value);
    let _ = edits::decode(&key, &value);
    let _ = reactions::decode(&key, &value);
    let _ = expiring::decode_due(&key, &value);
    let _ = node::Body::decode(&key, &value).map(|body| body.child(1));
    let _ = node::Root::decode(&key, &value);
    let _ = Unlisted::decode(&key, &value);
    let _ = SweepRow::decode(&key, &value);
}

/// A key of the table, read as a key of each kind: what names a channel or a record names it again when written.
pub fn key(input: &[u8]) {
    if let Ok(channel) = keys::parse_channel(input) {
        let mut written = Vec::new();
        keys::put_channel(&mut written, &channel);
        assert!(keys::parse_channel(&written).is_ok_and(|again| again == channel));
    }
    if let Ok(record) = keys::parse_record(input) {
        let written = keys::record_row(&record.app, record.kind, &record.name);
        assert!(keys::parse_record(&written).is_ok_and(|again| again == record));
    }
    if let Ok((list, is_root)) = ListKey::parse_row(input) {
        assert!(list.rows().contains(input));
        assert_eq!(is_root, list.root() == input);
    }
    let _ = BlockKey::parse(input);
    let _ = keys::parse_due(input);
    let _ = keys::parse_next_due(input);
    let _ = keys::last_two(input);
    let _ = keys::name_of_channel_row(input);
}
