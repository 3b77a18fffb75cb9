//! What the lines of an export must be to each other. An import looks at all of them before it applies the first.

use super::{
    limits::AHEAD_TICKS,
    line::{Header, Line},
};
use model::{ChannelName, Id, Position, Seq, limits};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

/// Looks at one line after the other.
pub(super) struct Check {
    pub header: Option<Header>,
    place: Option<Place>,
    /// Hashes of the channels that were there.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Ids must not lie further ahead.
    latest: Id,
    pub messages: u64,
    pub is_complete: bool,
}

/// Where the lines are in a channel.
struct Place {
    channel: ChannelName,
    floor: Position,
    last: Option<Position>,
    /// The message that edits and reactions may belong to, and the last id of each.
    message: Option<(Id, Id, Id)>,
}

impl Check {
    /// At `now_ticks` of the machine's clock.
    pub fn new(now_ticks: u64) -> Check {
        Check {
            header: None,
            place: None,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            latest: Id::last_at(now_ticks.saturating_add(AHEAD_TICKS)),
            messages: 0,
            is_complete: false,
        }
    }

    /// Looks at the next line; an error says what is wrong with it.
    pub fn line(&mut self, line: &Line) -> Result<(), String> {
        if self.is_complete {
            return Err("it follows the end".into());
        }
        match (line, self.header.is_some()) {
            (Line::Header(header), false) => {
                self.header = Some(header.clone());
                return Ok(());
            }
            (_, false) => return Err("the header must come first".into()),
            (Line::Header(_), true) => return Err("there is a header already".into()),
            _ => {}
        }
        match line {
            Line::Header(_) => Ok(()),
            Line::Record { version, .. } => match self.place.is_none() {
                true => self.is_in_time(*version),
                false => Err("records come before channels".into()),
            },
            Line::Channel { channel, floor, head } => self.channel(channel, *floor, *head),
            Line::Message { channel, message } => {
                self.messages += 1;
                self.stored(channel, message.position())?;
                self.set_message(Some((message.id, message.id, message.id)));
                Ok(())
            }
            Line::Gone { channel, messages } => {
                messages.iter().try_for_each(|(position, _)| self.stored(channel, *position))?;
                self.set_message(None);
                Ok(())
            }
            Line::Edit { channel, id, edit } => {
                let last = self.place.as_ref().and_then(|place| place.last);
                let (message, edited, reacted) = self.belongs(channel, edit.message)?;
                if last.is_none_or(|last| last.seq != edit.seq) {
                    return Err("the seq is not that of its message".into());
                }
                if *id <= edited {
                    return Err("ids of edits must grow".into());
                }
                self.is_in_time(*id)?;
                self.set_message(Some((message, *id, reacted)));
                Ok(())
            }
            Line::Reaction { channel, id, reaction } => {
                let (message, edited, reacted) = self.belongs(channel, reaction.message)?;
                if *id <= reacted {
                    return Err("ids of reactions must grow".into());
                }
                self.is_in_time(*id)?;
                self.set_message(Some((message, edited, *id)));
                Ok(())
            }
            Line::End { messages } if *messages == self.messages => {
                self.is_complete = true;
                Ok(())
            }
            Line::End { messages } => Err(format!("it tells {messages} messages, there are {}", self.messages)),
        }
    }

    fn channel(&mut self, channel: &ChannelName, floor: Position, head: Position) -> Result<(), String> {
        if floor.seq > head.seq || floor.id > head.id {
            return Err("its floor lies above its head".into());
        }
        is_in_bounds(floor.seq)?;
        self.is_in_time(head.id)?;
        if !self.seen.insert(self.hasher.hash_one(channel)) {
            return Err(format!("channel {channel} is there twice"));
        }
        self.place = Some(Place { channel: channel.clone(), floor, last: None, message: None });
        Ok(())
    }

    /// The next message of a channel, there or gone.
    fn stored(&mut self, channel: &ChannelName, position: Position) -> Result<(), String> {
        self.is_in_time(position.id)?;
        let place = self.place_in(channel)?;
        let Place { floor, last, .. } = *place;
        let follows = match last {
            None => position.seq > floor.seq && position.id > floor.id && position.id > Id::from_raw(1),
            Some(last) => position.seq == last.seq.next() && position.id > last.id,
        };
        if !follows {
            return Err(format!("seq {} and id {} do not follow those before", position.seq, position.id));
        }
        place.last = Some(position);
        is_in_bounds(position.seq)
    }

    /// The message that an edit or a reaction belongs to: that of the last such line.
    fn belongs(&mut self, channel: &ChannelName, message: Id) -> Result<(Id, Id, Id), String> {
        let place = self.place_in(channel)?;
        place.message.filter(|(last, ..)| *last == message).ok_or_else(|| "it does not follow its message".into())
    }

    fn set_message(&mut self, message: Option<(Id, Id, Id)>) {
        if let Some(place) = &mut self.place {
            place.message = message;
        }
    }

    fn place_in(&mut self, channel: &ChannelName) -> Result<&mut Place, String> {
        let place = self.place.as_mut().filter(|place| place.channel == *channel);
        place.ok_or_else(|| format!("it does not follow the line of channel {channel}"))
    }

    fn is_in_time(&self, id: Id) -> Result<(), String> {
        match id <= self.latest {
            true => Ok(()),
            false => Err(format!("id {id} lies more than a day ahead of the machine's clock")),
        }
    }
}

fn is_in_bounds(seq: Seq) -> Result<(), String> {
    match (-limits::SEQ..limits::SEQ).contains(&seq.0) {
        true => Ok(()),
        false => Err(format!("seq {seq} is out of bounds")),
    }
}
