//! Values that the unit tests of several modules use.

use bytes::Bytes;
use model::{
    AppId, Change, Channel, ChannelChange, ChannelName, ChannelNumber, Edit, Id, IdempotencyKey, Kind, Message, Origin,
    Payload, PayloadForm, Position, Reaction, RecordChange, RecordKey, RecordKind, Removal, Seq, SeqRange, Span,
    Unedit, UserId, What,
};
use std::sync::Arc;

/// A message with everything a message can have.
pub(crate) fn full_message(id: u64, seq: i64) -> Message {
    Message {
        id: Id::from_raw(id),
        seq: Seq(seq),
        author: Some(UserId::new(Origin::Native, "ann", true).unwrap()),
        recipient: Some(UserId::new(Origin::Agora, "bob", false).unwrap()),
        payload: Payload { form: PayloadForm::Json, bytes: Bytes::from_static(br#"{"text":"hello"}"#) },
        kind: Kind::File,
        custom_type: Some("greeting".into()),
        extras: Some(Bytes::from_static(b"\0\x01")),
        edited_at: Some(Id::from_raw(id + 1)),
        expires_at: Some(Id::from_raw(id + 500)),
    }
}

/// A message with as little as possible.
pub(crate) fn plain_message(id: u64, seq: i64, payload: impl Into<Bytes>) -> Message {
    Message {
        id: Id::from_raw(id),
        seq: Seq(seq),
        author: None,
        recipient: None,
        payload: Payload { form: PayloadForm::Text, bytes: payload.into() },
        kind: Kind::Message,
        custom_type: None,
        extras: None,
        edited_at: None,
        expires_at: None,
    }
}

/// One of each kind of change to messages that are there.
fn alterations() -> Vec<What> {
    let user = UserId::new(Origin::Pubnub, "eve", false).unwrap();
    let range = |first, last| SeqRange { first: Seq(first), last: Seq(last) };
    let removal = |by| Removal {
        seqs: vec![range(1, 1), range(3, 70_000)],
        span: Span { after: Id::from_raw(999), upto: Id::from_raw(1_003) },
        ids: vec![Id::from_raw(1_000), Id::from_raw(1_003)],
        by,
    };
    let reaction = Arc::new(Reaction {
        message: Id::from_raw(1_000),
        user: user.clone(),
        kind: "reaction".into(),
        value: "smile".into(),
    });
    let payload = Payload { form: PayloadForm::Json, bytes: Bytes::from_static(b"2") };
    let (message, extras) = (Id::from_raw(1_000), Some(Bytes::from_static(b"e")));
    vec![
        What::Edited(Arc::new(Edit { message, seq: Seq(1), editor: Some(user.clone()), payload, extras })),
        What::Deleted(Arc::new(removal(Some(user)))),
        What::Expired(Arc::new(removal(None))),
        What::Floored(Position { id: message, seq: Seq(1) }),
        What::Reacted(reaction.clone()),
        What::Unreacted { reaction: Id::from_raw(1_504), was: reaction },
        What::Unedited(Arc::new(Unedit { message, seq: Seq(1), edits: vec![Id::from_raw(1_500)], by: None })),
    ]
}

/// One of each kind of change, with channels of each kind of name, some of them twice.
pub(crate) fn changes() -> Vec<Arc<Change>> {
    let app = AppId::new("demo").unwrap();
    let names = [
        ChannelName::named("room/ä").unwrap(),
        ChannelName::Member(7, u64::MAX),
        ChannelName::direct("bob", "ann"),
        ChannelName::named("room/ä").unwrap(),
        ChannelName::Member(7, u64::MAX),
    ];
    let mut changes = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let (id, seq) = (1_000 + at as u64, at as i64 / 3 * 2 - 1);
        let message = if at % 2 == 0 { full_message(id, seq) } else { plain_message(id, seq, "hi") };
        let key = (at == 1).then_some(IdempotencyKey { key_hash: u128::MAX - 1, payload_hash: 77 });
        changes.push(Arc::new(Change::Channel(ChannelChange {
            id: Id::from_raw(id),
            channel: Channel { app: app.clone(), name },
            number: ChannelNumber(1 + at as u64 % 3),
            what: What::Published { message: Arc::new(message), key, first: at < 3 },
        })));
    }
    let room = Channel { app: app.clone(), name: ChannelName::named("room/ä").unwrap() };
    for (at, what) in alterations().into_iter().enumerate() {
        let (channel, number) = match at % 2 {
            0 => (room.clone(), 1),
            _ => (Channel { app: app.clone(), name: ChannelName::named("other").unwrap() }, 9),
        };
        let id = Id::from_raw(1_500 + at as u64);
        changes.push(Arc::new(Change::Channel(ChannelChange { id, channel, number: ChannelNumber(number), what })));
    }
    for (at, value) in [Some(Bytes::from_static(b"value")), None].into_iter().enumerate() {
        changes.push(Arc::new(Change::Record(RecordChange {
            id: Id::from_raw(2_000 + at as u64),
            key: RecordKey { app: app.clone(), kind: RecordKind::Grant, name: b"\0name"[..].into() },
            value,
        })));
    }
    changes
}
