//! The worked bytes of `protocols/osmium.md` §10, in both directions, and what no bytes may do.

use dialect_osmium::{
    frame::{self, Frame},
    wire::{
        self, ClientMessage, GetHistory, Messages, RpcError, chat_ref::Ref, client_message::Request,
        get_history::Offset, rpc_result::Result as Answer,
    },
};
use proptest::prelude::*;
use prost::Message;

/// `vectors/frames.txt`: a name, a colon, bytes in hex; lines that begin with `#` say where they come from.
fn worked(name: &str) -> Vec<u8> {
    let line = include_str!("vectors/frames.txt")
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| *key == name)
        .unwrap_or_else(|| panic!("no vector {name}"));
    let digits: Vec<u32> = line.1.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn user(user_id: u64) -> Option<wire::ChatRef> {
    Some(wire::ChatRef { r#ref: Some(Ref::User(wire::UserRef { user_id })) })
}

/// Decodes to this call, and encodes to these bytes.
fn check_call(name: &str, id: u32, request: Request) {
    let bytes = worked(name);
    let expected = ClientMessage { id, request: Some(request.clone()) };
    assert_eq!(expected.encode_to_vec(), bytes, "{name}, encoded");
    assert_eq!(frame::decode(&bytes).expect(name), Frame::Call(id, Box::new(request)), "{name}, decoded");
}

#[test]
fn worked_calls_are_read_and_written_to_the_letter() {
    let device = |text: &str| text.to_owned();
    check_call(
        "initialize",
        1,
        Request::CoreInitialize(wire::Initialize {
            client_id: 7,
            device_type: device("t"),
            device_version: device("1"),
            app_version: device("1"),
            no_subscribe: false,
        }),
    );
    check_call("authorize", 2, Request::AuthAuthorize(wire::Authorize { token: "tok".into() }));
    let history = |chat_ref, limit, offset| Request::MessagesGetHistory(GetHistory { chat_ref, limit, offset });
    check_call("history default", 7, history(user(123456789012345678), None, None));
    let channel = wire::ChannelRef { community_id: 987654321098765432, channel_id: 111111111111111111 };
    let channel = Some(wire::ChatRef { r#ref: Some(Ref::Channel(channel)) });
    check_call("history around", 8, history(channel, Some(50), Some(Offset::Around(666666666666666666))));
    let saved = Some(wire::ChatRef { r#ref: Some(Ref::Self_(wire::SelfRef {})) });
    check_call("history since 0", 9, history(saved, None, Some(Offset::Since(0))));
}

#[test]
fn worked_answers_are_written_to_the_letter() {
    assert_eq!(frame::encode_result(1, 1, Some(Answer::Initialized(Default::default()))), worked("initialized"));
    assert_eq!(frame::encode_result(6, 7, Some(Answer::Messages(Messages::default()))), worked("empty history"));
    assert_eq!(frame::encode_result(5, 12, None), worked("void"));
    assert_eq!(frame::encode_result(5, 0, None), worked("void for id 0"));
    let not_found = RpcError { error_code: 404, error_message: "chat not found".into() };
    assert_eq!(frame::encode_error(7, 9, not_found, None), worked("not found"));
}

#[test]
fn a_worked_page_is_written_to_the_letter() {
    const ANN: u64 = 123456789012345678;
    const MESSAGE: u64 = 555555555555555555;
    let message = wire::Message {
        chat_ref: user(ANN),
        message_id: MESSAGE,
        author_id: ANN,
        message: "hi".into(),
        ..Default::default()
    };
    let emoji = wire::reaction_emoji::Emoji::UnicodeEmoji("\u{1f44d}".into());
    let field = wire::MessageReactionField {
        emoji: Some(wire::ReactionEmoji { emoji: Some(emoji) }),
        count: 1,
        me: true,
        preview_user_ids: vec![ANN],
    };
    let page = Messages {
        messages: vec![message],
        users: vec![wire::User { id: ANN, name: "Ann".into(), ..Default::default() }],
        members: Vec::new(),
        reactions: vec![wire::MessageReactions { message_id: MESSAGE, reaction_fields: vec![field] }],
    };
    assert_eq!(frame::encode_result(8, 7, Some(Answer::Messages(page))), worked("page"));
}

#[test]
fn signs_of_life_and_unknown_calls_are_told_apart() {
    assert_eq!(frame::decode(&worked("keepalive")).expect("decodes"), Frame::Keepalive);
    assert_eq!(frame::decode(&worked("unknown method")).expect("decodes"), Frame::Unknown(5));
    assert_eq!(frame::decode(&[]).expect("decodes"), Frame::Keepalive);
}

#[test]
fn the_last_of_two_offsets_counts() {
    let mut bytes = vec![0x08, 0x01, 0x2a, 0x12];
    bytes.extend_from_slice(&[0x19, 1, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0x21, 2, 0, 0, 0, 0, 0, 0, 0]);
    let Frame::Call(1, request) = frame::decode(&bytes).expect("decodes") else { panic!("not a call") };
    let Request::MessagesGetHistory(history) = *request else { panic!("not a history call") };
    assert_eq!(history.offset, Some(Offset::Before(2)));
}

#[test]
fn what_is_no_message_is_an_error() {
    let overlong = [&[0x08][..], &[0x80; 10], &[0x01]].concat();
    // Field 1023, groups inside groups.
    let deep = [0xfb, 0x3f].repeat(1_000);
    let broken: [(&str, &[u8]); 7] = [
        ("a number that ends too soon", &[0x08]),
        ("a number of eleven bytes", &overlong),
        ("an id of four fixed bytes", &[0x0d, 1, 0, 0, 0]),
        ("a length beyond the end", &[0x08, 1, 0x2a, 5, 0x0a]),
        ("a known call as a group", &[0x08, 1, 0x2b, 0x2c]),
        ("a group without an end", &[0x08, 1, 0xb3, 0x06]),
        ("groups a thousand deep", &deep),
    ];
    for (what, bytes) in broken {
        assert!(frame::decode(bytes).is_err(), "{what}");
    }
    let whole_group = [0x08, 5, 0xb3, 0x06, 0xb4, 0x06];
    assert_eq!(frame::decode(&whole_group).expect("decodes"), Frame::Unknown(5), "an unknown call as a group");
}

#[test]
fn unpacked_ids_are_ids() {
    let chat = [0x0a, 0x02, 0x22, 0x00];
    let unpacked = [0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0];
    let bytes = [&[0x08, 1, 0x8a, 0x01, 22][..], &chat, &unpacked].concat();
    let Frame::Call(1, request) = frame::decode(&bytes).expect("decodes") else { panic!("not a call") };
    let Request::MessagesDeleteMessage(call) = *request else { panic!("not a deletion") };
    assert_eq!(call.message_ids, [1, 2]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = frame::decode(&bytes);
    }

    #[test]
    fn ids_come_back_whole(id in any::<u32>()) {
        let bytes = ClientMessage { id, request: None }.encode_to_vec();
        prop_assert_eq!(frame::decode(&bytes).expect("decodes"), Frame::Keepalive);
        let answer = wire::ServerMessage::decode(&frame::encode_result(3, id, None)[..]).expect("decodes");
        let Some(wire::server_message::Body::Result(result)) = answer.body else { panic!("not a result") };
        prop_assert_eq!(result.req_id, id);
    }
}
