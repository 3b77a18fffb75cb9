//! What the contract of [`model::Store`] and the words ask of whoever makes batches.

use model::{Batch, Change, Channel, ChannelChange, ChannelNumber, Head, Position, Settled, What, limits};
use std::collections::BTreeMap;

/// Why this batch cannot come next in a shard of this epoch that is settled like this, if it cannot.
pub(crate) fn check(
    batch: &Batch,
    epoch: u64,
    settled: Settled,
    head_of: impl Fn(&Channel) -> Head,
) -> Result<(), String> {
    let next = settled.last_batch + 1;
    if batch.number != next {
        return Err(format!("the next number is {next}, or the last batch again with the same content"));
    }
    if batch.epoch < epoch {
        return Err(format!("epoch {} has ended, {epoch} owns the shard", batch.epoch));
    }
    if batch.changes.len() > limits::BATCH_CHANGES {
        return Err(format!("{} changes are too many", batch.changes.len()));
    }
    let Settled { mut last_id, mut last_number, .. } = settled;
    let mut heads = BTreeMap::new();
    for change in &batch.changes {
        if change.id() <= last_id {
            return Err(format!("{:?} does not follow {last_id:?}", change.id()));
        }
        last_id = change.id();
        if last_id.ticks() > batch.reserved {
            return Err(format!("{last_id:?} is above the reserved tick {}", batch.reserved));
        }
        if let Change::Channel(change) = &**change {
            let head = heads.entry(&change.channel).or_insert_with(|| head_of(&change.channel));
            *head = follow(*head, change, last_number)?;
            last_number = last_number.max(change.number);
        }
    }
    Ok(())
}

/// The head after this change, or why it cannot come now.
fn follow(head: Head, change: &ChannelChange, last_number: ChannelNumber) -> Result<Head, String> {
    let What::Published { message, first, .. } = &change.what else {
        return Err(format!("{:?} is live only and was handed to a store", change.id));
    };
    let name = &change.channel.name;
    if message.id != change.id {
        return Err(format!("{:?} carries the message {:?}", change.id, message.id));
    }
    if message.seq != head.last.seq.next() {
        return Err(format!("seq {} of {name} does not follow {}", message.seq, head.last.seq));
    }
    if *first != (head.number == ChannelNumber::NONE) {
        return Err(format!("first is {first} at seq {} of {name}", message.seq));
    }
    if *first && change.number <= last_number {
        return Err(format!("{name} gets {:?}, {last_number:?} was given out", change.number));
    }
    if !*first && change.number != head.number {
        return Err(format!("{name} has {:?}, not {:?}", head.number, change.number));
    }
    Ok(Head { number: change.number, last: Position { id: change.id, seq: message.seq }, floor: head.floor })
}
