//! `protocols/osmium.md` §6, §7: sending, forwarding, pins, read marks, mentions, and who is told what.

use super::rig::*;
use crate::{
    limits,
    wire::{
        self, ForwardMessage, GetPinnedMessages, GetUnreadMentions, MarkChatRead, MessageReply, SendMessage,
        SetMessagePin, client_message::Request, message_entity::Entity, message_media, rpc_result::Result as Answer,
        update::Update,
    },
};
use model::{AppId, RecordKind};

fn entity(start_index: u32, length: u32, entity: Entity) -> wire::MessageEntity {
    wire::MessageEntity { start_index, length, entity: Some(entity) }
}

fn embed(url: &str) -> wire::MediaRef {
    wire::MediaRef { media: Some(wire::media_ref::Media::Embed(wire::EmbedRef { url: url.into() })) }
}

#[tokio::test]
async fn a_message_comes_back_as_it_was_sent() {
    let house = House::furnished().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    let first = bob.send(user(ANN), "question").await;
    let quote = wire::Quote { message: "quest".into(), entities: Vec::new(), offset: Some(0) };
    let call = SendMessage {
        message: "😀 bold".into(),
        entities: vec![entity(3, 4, Entity::Bold(true))],
        media: vec![embed("https://example.org/")],
        reply_to_old: Some(7),
        reply_to: Some(MessageReply { message_id: Some(first), quote: Some(quote.clone()) }),
        client_id: Some(42),
        ..to(user(BOB))
    };
    let id = ann.send_call(call).await.expect("it is sent");
    let page = bob.history(user(ANN), None, None).await;
    let message = page.messages[1].clone();
    assert_eq!((message.message_id, message.author_id, &*message.message), (id, ANN, "😀 bold"));
    assert_eq!(message.entities, [entity(3, 4, Entity::Bold(true))]);
    assert_eq!(message.reply, Some(MessageReply { message_id: Some(first), quote: Some(quote) }), "field 7 wins");
    assert_eq!(message.reply_to, Some(first), "for old clients");
    let Some(message_media::Media::Embed(media)) = &message.media[0].media else { panic!("not an embed") };
    assert_eq!(media.url, "https://example.org/");
    assert_eq!((message.edited_at, message.r#type, message.pinned), (None, None, None));
}

#[tokio::test]
async fn everyone_who_may_see_it_is_told_and_only_the_sender_of_its_nonce() {
    let house = House::furnished().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    let (mut again, mut eve) = (house.client("ann").await, house.client("eve").await);
    let call = SendMessage { message: "hi".into(), client_id: Some(42), ..to(user(BOB)) };
    let id = ann.send_call(call).await.expect("it is sent");
    for (client, chat, nonce) in [(&mut ann, BOB, Some(42)), (&mut again, BOB, Some(42)), (&mut bob, ANN, None)] {
        let created = client.created().await;
        let message = created.message.expect("it is set");
        assert_eq!((message.message_id, message.chat_ref), (id, Some(user(chat))), "its own view");
        assert_eq!((created.client_id, created.author.expect("it is set").id), (nonce, ANN));
        assert_eq!(created.channel_unread_count, 1);
    }
    bob.send(channel(SQUARE), "to the town").await;
    bob.send(group(PAIR), "to the pair").await;
    for client in [&mut ann, &mut again, &mut bob] {
        let first = client.created().await.message.expect("it is set");
        let second = client.created().await.message.expect("it is set");
        assert_eq!((&*first.message, &*second.message), ("to the town", "to the pair"), "in commit order");
        assert_eq!((first.chat_ref, second.chat_ref), (Some(channel(SQUARE)), Some(group(PAIR))));
    }
    eve.send(saved(), "note").await;
    let first = eve.created().await.message.expect("it is set");
    assert_eq!(&*first.message, "note", "she was told of nothing else");
}

#[tokio::test]
async fn messages_of_other_dialects_reach_the_connected() {
    let house = House::furnished().await;
    let mut ann = house.client("ann").await;
    house.put("communities/5/channels/60", r#"{"name":"mixed","alias":"lobby"}"#).await;
    house.publish_elsewhere("lobby", "\"from afar\"", None).await;
    house.publish_elsewhere("other", "\"not here\"", None).await;
    ann.send(saved(), "note").await;
    let created = ann.created().await;
    let message = created.message.expect("it is set");
    assert_eq!((&*message.message, message.chat_ref), ("from afar", Some(channel(60))));
    assert_eq!(created.author.expect("it is set").name, "Anonymous");
    assert_eq!(ann.created().await.message.expect("it is set").message, "note");
}

#[tokio::test]
async fn what_cannot_be_sent_is_400() {
    let house = House::furnished().await;
    let mut ann = house.client("ann").await;
    let elsewhere = ann.send(saved(), "elsewhere").await;
    let text = |message: &str| SendMessage { message: message.into(), ..to(user(BOB)) };
    let with = |entity| SendMessage { entities: vec![entity], ..text("a😀") };
    let reply = |message_id| SendMessage { reply_to: Some(MessageReply { message_id, quote: None }), ..text("x") };
    let media = |media| SendMessage { media: vec![media], ..text("") };
    let cases = [
        ("nothing", text("")),
        ("too long", text(&"x".repeat(limits::TEXT_UNITS + 1))),
        ("too long in UTF-16", text(&"😀".repeat(limits::TEXT_UNITS / 2 + 1))),
        ("beyond the end", with(entity(2, 2, Entity::Bold(true)))),
        ("inside a pair", with(entity(2, 1, Entity::Bold(true)))),
        ("overflowing", with(entity(u32::MAX, u32::MAX, Entity::Bold(true)))),
        ("a reply to nothing", reply(Some(7))),
        ("a reply to what has no name", reply(None)),
        ("a reply to another chat's", reply(Some(elsewhere))),
        ("an old reply to nothing", SendMessage { reply_to_old: Some(7), ..text("x") }),
        ("no address", media(embed(""))),
        ("empty media", media(wire::MediaRef { media: None })),
        ("no chat", SendMessage { chat_ref: None, ..text("x") }),
    ];
    for (about, call) in cases {
        assert_eq!(ann.send_call(call).await, Err(400), "{about}");
    }
    assert!(ann.texts(user(BOB), None, None).await.is_empty(), "nothing was sent");
    let upload = wire::media_ref::Media::Uploaded(Default::default());
    assert_eq!(ann.send_call(media(wire::MediaRef { media: Some(upload) })).await, Err(501));
    let cloak = wire::SentCloak { name: "X".into(), photo_id: None };
    let cloaked = SendMessage { bot_info: Some(wire::SentBotInfo { cloak: Some(cloak) }), ..text("x") };
    assert_eq!(ann.send_call(cloaked.clone()).await, Err(403), "not a bot");
    let mut eve = house.client("eve").await;
    assert!(eve.send_call(cloaked).await.is_ok(), "a bot");
    assert!(ann.send_call(text(&"x".repeat(limits::TEXT_UNITS))).await.is_ok());
    assert!(ann.send_call(SendMessage { message: String::new(), ..media(embed("u")) }).await.is_ok(), "media alone");
}

#[tokio::test]
async fn a_forward_keeps_the_content_and_the_time_of_the_original() {
    let house = House::furnished().await;
    let mut ann = house.client("ann").await;
    let bold = vec![entity(0, 1, Entity::Bold(true))];
    let first = ann.send_call(SendMessage { message: "one".into(), entities: bold.clone(), ..to(saved()) }).await;
    let (first, second) = (first.expect("sent"), ann.send(saved(), "two").await);
    let sent_ms = (house.clock_ms(), house.clock.advance_seconds(60)).0;
    let forward = |from, message_ids| {
        Request::MessagesForwardMessage(ForwardMessage { chat_ref: Some(user(BOB)), from: Some(from), message_ids })
    };
    assert_eq!(ann.call(forward(saved(), vec![second, first])).await, Ok(None), "a void success");
    let page = ann.history(user(BOB), None, None).await;
    let texts: Vec<&str> = page.messages.iter().map(|message| &*message.message).collect();
    assert_eq!(texts, ["two", "one"]);
    assert_eq!(page.messages[1].entities, bold);
    assert_eq!(page.messages[1].forward, Some(wire::MessageForward { date: Some(sent_ms) }));
    assert_eq!(ann.call(forward(saved(), vec![7])).await, Err(404));
    assert_eq!(ann.call(forward(user(BOB), vec![first])).await, Err(404), "not of that chat");
    assert_eq!(ann.call(forward(saved(), Vec::new())).await, Err(400));
    assert_eq!(ann.call(forward(saved(), vec![first; 10_000])).await, Err(400));
    assert_eq!(ann.texts(user(BOB), None, None).await.len(), 2, "nothing more was sent");
}

#[tokio::test]
async fn pins_are_shown_listed_and_told() {
    let house = House::furnished().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    let (old, new) = (ann.send(channel(SQUARE), "old").await, ann.send(channel(SQUARE), "new").await);
    let pin = |message_id, pin| {
        Request::MessagesSetMessagePin(SetMessagePin { chat_ref: Some(channel(SQUARE)), message_id, pin })
    };
    let list = Request::MessagesGetPinnedMessages(GetPinnedMessages { chat_ref: Some(channel(SQUARE)) });
    assert_eq!(bob.call(pin(old, true)).await, Err(403), "it needs a permission");
    for message in [old, new, new] {
        assert_eq!(ann.call(pin(message, true)).await, Ok(None), "also again");
    }
    assert_eq!(ann.call(pin(7, true)).await, Err(404));
    let Ok(Some(Answer::Messages(pinned))) = bob.call(list.clone()).await else { panic!("no list") };
    let ids: Vec<u64> = pinned.messages.iter().map(|message| message.message_id).collect();
    assert_eq!(ids, [new, old], "the newest first");
    assert!(pinned.messages.iter().all(|message| message.pinned == Some(true)));
    assert_eq!(ann.call(pin(old, false)).await, Ok(None));
    let shown: Vec<Option<bool>> =
        bob.history(channel(SQUARE), None, None).await.messages.iter().map(|message| message.pinned).collect();
    assert_eq!(shown, [None, Some(true)]);
    let mut told = Vec::new();
    while told.len() < 3 {
        match bob.update().await {
            Update::Message(update) => {
                let message = update.message.expect("it is set");
                told.push((message.message_id, message.pinned));
            }
            Update::MessageCreated(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, [(old, Some(true)), (new, Some(true)), (old, None)], "once for each change");
    let again = House::over(house.restarted().await, house.clock.clone(), settings()).await;
    let mut bob = again.client("bob").await;
    let Ok(Some(Answer::Messages(pinned))) = bob.call(list).await else { panic!("no list") };
    assert_eq!(pinned.messages.len(), 1, "pins survive a restart");
}

#[tokio::test]
async fn marks_move_forwards_and_tell_the_readers_own_connections() {
    let house = House::furnished().await;
    let mut bob = house.client("bob").await;
    let mention = |text: &str| SendMessage {
        message: text.into(),
        entities: vec![entity(0, 4, Entity::Username(true))],
        ..to(channel(SQUARE))
    };
    let mut ann = house.client("ann").await;
    let first = ann.send_call(mention("@bob one")).await.expect("sent");
    ann.send(channel(SQUARE), "bob, without an entity").await;
    let third = ann.send_call(mention("@bob three")).await.expect("sent");
    bob.send_call(mention("@bob himself")).await.expect("sent");
    let unread = Request::MessagesGetUnreadMentions(GetUnreadMentions { chat_ref: Some(channel(SQUARE)) });
    let mentions = |answer| match answer {
        Ok(Some(Answer::UnreadMentions(mentions))) => mentions.message_ids,
        other => panic!("{other:?}"),
    };
    assert_eq!(mentions(bob.call(unread.clone()).await), [first, third]);
    let mark = |message_id| {
        Request::ChatsMarkChatRead(MarkChatRead { chat_ref: Some(channel(SQUARE)), message_id, read_amount: None })
    };
    for _ in 0..4 {
        bob.created().await;
    }
    assert_eq!(bob.call(mark(first)).await, Ok(None));
    let Update::ConversationLastRead(read) = bob.update().await else { panic!("not told") };
    assert_eq!((read.chat_ref, read.last_read_message_id), (Some(channel(SQUARE)), first));
    assert_eq!((read.unread_count, read.unread_mentions_count), (Some(3), Some(1)));
    assert_eq!(mentions(bob.call(unread.clone()).await), [third]);
    assert_eq!(bob.call(mark(0)).await, Ok(None), "backwards: nothing happens");
    assert_eq!(mentions(bob.call(unread.clone()).await), [third]);
    ann.send(channel(SQUARE), "five").await;
    assert_eq!(bob.created().await.channel_unread_count, 4);
    assert_eq!(bob.call(mark(u64::MAX)).await, Ok(None));
    assert_eq!(bob.call(mark(first)).await, Ok(None), "backwards");
    assert!(mentions(bob.call(unread).await).is_empty());
    let Update::ConversationLastRead(read) = bob.update().await else { panic!("not told") };
    assert_eq!((read.unread_count, read.unread_mentions_count), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_mark_from_a_store_with_other_seqs_still_counts() {
    let house = House::furnished().await;
    let (mut ann, mut bob) = (house.client("ann").await, house.client("bob").await);
    ann.send(channel(SQUARE), "one").await;
    let read = ann.send(channel(SQUARE), "two").await;
    ann.send(channel(SQUARE), "three").await;
    let mark = MarkChatRead { chat_ref: Some(channel(SQUARE)), message_id: read, read_amount: None };
    assert_eq!(bob.call(Request::ChatsMarkChatRead(mark)).await, Ok(None));
    let app = AppId::new("demo").expect("a valid name");
    let marks = house.channels.records(&app, RecordKind::ReadMark, b"osmium/1002/", None, 10).await.expect("read");
    let [record] = &marks[..] else { panic!("{marks:?}") };
    let mut value: serde_json::Value = serde_json::from_slice(&record.value).expect("JSON");
    assert_eq!(value["seq"], 2);
    value["seq"] = 302.into();
    house.channels.put_record(record.key.clone(), Some(value.to_string().into()), None).await.expect("stored");
    let again = House::over(house.restarted().await, house.clock.clone(), settings()).await;
    let (mut ann, mut bob) = (again.client("ann").await, again.client("bob").await);
    ann.send(channel(SQUARE), "four").await;
    assert_eq!(bob.created().await.channel_unread_count, 2);
}
