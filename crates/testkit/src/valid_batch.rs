//! What the contract of [`model::Store`] and the words ask of whoever makes batches.

use crate::channel_state::{ChannelState, removal_of};
use model::{
    Batch, Change, Channel, ChannelChange, ChannelNumber, Edit, Head, Id, Message, Position, Reaction, Removal, Seq,
    Settled, Unedit, What, limits,
};
use std::{collections::BTreeMap, sync::Arc};

/// Why this batch cannot come next in a shard of this epoch that is settled like this, if it cannot.
pub(crate) fn check<'a>(
    batch: &Batch,
    epoch: u64,
    settled: Settled,
    state_of: impl Fn(&Channel) -> &'a ChannelState,
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
    let mut states = before(batch, state_of);
    for happening in &batch.changes {
        if happening.id() <= last_id {
            return Err(format!("{:?} does not follow {last_id:?}", happening.id()));
        }
        last_id = happening.id();
        if last_id.ticks() > batch.reserved {
            return Err(format!("{last_id:?} is above the reserved tick {}", batch.reserved));
        }
        if let Change::Channel(change) = &**happening {
            let state = states.entry(&change.channel).or_default();
            let why_not = |why| format!("{:?} in {}: {why}", change.id, change.channel.name);
            follows(state, change, last_number).map_err(why_not)?;
            state.apply(happening);
            last_number = last_number.max(change.number);
        }
    }
    Ok(())
}

/// The channels of the batch as they are before it: of those in which it only publishes, the heads, lest publishing in
/// a long channel be slow.
fn before<'b, 'a>(
    batch: &'b Batch,
    state_of: impl Fn(&Channel) -> &'a ChannelState,
) -> BTreeMap<&'b Channel, ChannelState> {
    let mut only_publishes = BTreeMap::new();
    for change in &batch.changes {
        if let Change::Channel(ChannelChange { channel, what, .. }) = &**change {
            *only_publishes.entry(channel).or_insert(true) &= matches!(what, What::Published { .. });
        }
    }
    let state = |(channel, only_publishes)| {
        let state = state_of(channel);
        (channel, if only_publishes { ChannelState::with_head(state.head()) } else { state.clone() })
    };
    only_publishes.into_iter().map(state).collect()
}

/// Whether this change can come now in a channel that is like this.
fn follows(state: &ChannelState, change: &ChannelChange, last_number: ChannelNumber) -> Result<(), String> {
    let head = state.head();
    if let What::Published { message, first, .. } = &change.what {
        return publish_follows(head, change, message, *first, last_number);
    }
    if change.number == ChannelNumber::NONE || change.number != head.number {
        return Err(format!("the channel has {:?}, not {:?}", head.number, change.number));
    }
    match &change.what {
        What::Edited(edit) => edit_follows(state, edit),
        What::Unedited(unedit) => unedit_follows(state, unedit),
        What::Deleted(removal) => removal_follows(state, removal).map(drop),
        What::Expired(removal) => {
            let gone = removal_follows(state, removal)?;
            let early = gone.iter().find(|message| !message.is_expired(change.id));
            early.map_or(Ok(()), |message| Err(format!("{:?} was not due", message.id)))
        }
        What::Floored(floor) => floor_follows(state, *floor),
        What::Reacted(reaction) => reaction_follows(state, reaction),
        What::Unreacted { reaction, was } => match state.made(*reaction) {
            Some(made) if made == was => Ok(()),
            made => Err(format!("{reaction:?} is {made:?}, not {was:?}")),
        },
        What::Published { .. } | What::Unstored(_) | What::Signal(_) | What::Presence(_) => {
            Err("it is live only and was handed to a store".into())
        }
    }
}

fn publish_follows(
    head: Head,
    change: &ChannelChange,
    message: &Message,
    first: bool,
    last_number: ChannelNumber,
) -> Result<(), String> {
    if message.id != change.id {
        return Err(format!("it carries the message {:?}", message.id));
    }
    if message.seq != head.last.seq.next() {
        return Err(format!("seq {} does not follow {}", message.seq, head.last.seq));
    }
    if message.edited_at.is_some() {
        return Err("a new message was edited".into());
    }
    if first != (head.number == ChannelNumber::NONE) {
        return Err(format!("first is {first} at seq {}", message.seq));
    }
    if first && change.number <= last_number {
        return Err(format!("it gets {:?}, {last_number:?} was given out", change.number));
    }
    if !first && change.number != head.number {
        return Err(format!("the channel has {:?}, not {:?}", head.number, change.number));
    }
    Ok(())
}

fn edit_follows(state: &ChannelState, edit: &Edit) -> Result<(), String> {
    match state.at(edit.seq) {
        Some(stored) if stored.message.id == edit.message => Ok(()),
        _ => Err(format!("it edits {:?}, which is not at seq {}", edit.message, edit.seq)),
    }
}

fn unedit_follows(state: &ChannelState, unedit: &Unedit) -> Result<(), String> {
    let Some(stored) = state.at(unedit.seq).filter(|stored| stored.message.id == unedit.message) else {
        return Err(format!("it is about {:?}, which is not at seq {}", unedit.message, unedit.seq));
    };
    let grow = unedit.edits.windows(2).all(|pair| pair[0] < pair[1]);
    if unedit.edits.is_empty() || unedit.edits.len() > limits::UNEDITED || !grow {
        return Err(format!("{} edits that do not grow, or too many or none", unedit.edits.len()));
    }
    match unedit.edits.iter().find(|edit| !stored.has_edit(**edit)) {
        Some(edit) => Err(format!("{edit:?} is no edit of {:?}", unedit.message)),
        None => Ok(()),
    }
}

/// The messages that go, if exactly these can go.
fn removal_follows(state: &ChannelState, removal: &Removal) -> Result<Vec<Arc<Message>>, String> {
    let ranges = removal.seqs.len();
    if ranges == 0 || ranges > limits::REMOVAL_RANGES {
        return Err(format!("{ranges} ranges"));
    }
    let mut gone = Vec::new();
    for seq in removal.seqs.iter().flat_map(|range| range.first.0..=range.last.0).map(Seq) {
        match state.at(seq) {
            Some(stored) if state.is_there(stored) => gone.push(stored.message.clone()),
            _ => return Err(format!("seq {seq} is not there to be removed")),
        }
    }
    let expected = Removal { by: removal.by.clone(), ..removal_of(&gone) };
    if *removal != expected {
        return Err(format!("{removal:?} says otherwise than {expected:?}"));
    }
    Ok(gone)
}

fn floor_follows(state: &ChannelState, floor: Position) -> Result<(), String> {
    let is_message = state.at(floor.seq).is_some_and(|stored| stored.message.id == floor.id);
    if !is_message || floor.seq <= state.head().floor.seq {
        return Err(format!("{floor:?} is no message above the floor {:?}", state.head().floor));
    }
    Ok(())
}

fn reaction_follows(state: &ChannelState, reaction: &Arc<Reaction>) -> Result<(), String> {
    if reaction.message == Id::MIN || reaction.kind.len().max(reaction.value.len()) > limits::REACTION_BYTES {
        return Err(format!("{reaction:?} is out of range"));
    }
    state.reaction(reaction).map_or(Ok(()), |id| Err(format!("{id:?} is the same reaction")))
}
