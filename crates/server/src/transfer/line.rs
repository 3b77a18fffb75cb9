//! A line as a value, and as it is written. What JSON looks like is told by `json`, and nothing else knows it.

use super::json;
use model::{AppId, ChannelName, Edit, Id, Message, Position, Reaction, RecordKind, Seq};
use std::sync::Arc;

/// One line of an export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// The first one: what the export covers.
    Header(Header),
    /// A small named value of the app.
    Record {
        /// What sort of record.
        kind: RecordKind,
        /// Its name within the kind.
        name: Vec<u8>,
        /// The id of the change that set it.
        version: Id,
        /// Its value.
        value: Vec<u8>,
    },
    /// What follows, up to the next such line, belongs to this channel.
    Channel {
        /// Which.
        channel: ChannelName,
        /// Nothing at or below this position exists any more.
        floor: Position,
        /// The newest position that was ever stored.
        head: Position,
    },
    /// A message as it was published.
    Message {
        /// Where.
        channel: ChannelName,
        /// The message, without its edits.
        message: Arc<Message>,
    },
    /// Messages that are not there any more, side by side.
    Gone {
        /// Where.
        channel: ChannelName,
        /// Which, and whether their time was over; else somebody deleted them.
        messages: Vec<(Position, bool)>,
    },
    /// A new content of the message of the last such line.
    Edit {
        /// Where.
        channel: ChannelName,
        /// When and where in the node's order.
        id: Id,
        /// What.
        edit: Arc<Edit>,
    },
    /// A reaction to the message of the last such line.
    Reaction {
        /// Where.
        channel: ChannelName,
        /// When and where in the node's order.
        id: Id,
        /// What.
        reaction: Arc<Reaction>,
    },
    /// The last one: the export is complete.
    End {
        /// Messages in it.
        messages: u64,
    },
}

/// What an export covers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Of which app.
    pub app: AppId,
    /// Of which channels; all without any.
    pub channels: Vec<ChannelName>,
    /// Messages with greater ids.
    pub after: Id,
    /// Messages up to this id.
    pub upto: Id,
}

impl Header {
    /// Whether it covers all of the app: then its records, too.
    pub fn is_whole(&self) -> bool {
        self.channels.is_empty() && self.after == Id::MIN
    }
}

impl Line {
    /// Where the messages are that it is about to place, there or gone.
    pub fn positions(&self) -> Vec<Position> {
        match self {
            Line::Message { message, .. } => vec![message.position()],
            Line::Gone { messages, .. } => messages.iter().map(|(position, _)| *position).collect(),
            Line::Header(_)
            | Line::Record { .. }
            | Line::Channel { .. }
            | Line::Edit { .. }
            | Line::Reaction { .. }
            | Line::End { .. } => Vec::new(),
        }
    }

    /// Adds to the seqs of messages.
    pub fn shift(&mut self, by: i64) {
        let shift = |seq: &mut Seq| seq.0 += by;
        match self {
            Line::Message { message, .. } => shift(&mut Arc::make_mut(message).seq),
            Line::Gone { messages, .. } => messages.iter_mut().for_each(|(position, _)| shift(&mut position.seq)),
            Line::Edit { edit, .. } => shift(&mut Arc::make_mut(edit).seq),
            Line::Header(_) | Line::Record { .. } | Line::Channel { .. } | Line::Reaction { .. } | Line::End { .. } => {
            }
        }
    }

    /// Reads a line without its end; an error says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Line, String> {
        json::parse(line)
    }

    /// Appends the line and its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::write(self, out);
    }
}
