//! The rules of a connection, without a socket.

use super::*;
use crate::{
    auth::tests::{HS256, sign},
    settings::{RoomHistory, RoomPattern, Settings},
};
use edge::Secret;
use model::{AppId, Change, ChannelChange, ChannelNumber, Message, Seq, What};
use proptest::prelude::*;
use testkit::ManualClock;

const NOW_MS: u64 = 1_700_000_000_000;

/// The channels `open` and `guarded`, with a clock to move.
struct House {
    directory: Arc<Directory>,
    clock: Arc<ManualClock>,
}

impl House {
    fn new() -> House {
        let clock = Arc::new(ManualClock::new(NOW_MS * model::TICKS_PER_MS));
        let settings = ["open", "guarded"].map(|channel| Settings {
            require_auth: channel == "guarded",
            history: Some(HistoryCap::default()),
            rooms: vec![RoomHistory { room: RoomPattern("quiet-*".to_owned()), history: None }],
            ..Settings::new(AppId::new("app").unwrap(), channel, Some(Secret::new("s3cret")))
        });
        let served = settings.map(|settings| Arc::new(Served::new(settings, clock.clone())));
        let directory = served.map(|served| (served.settings.channel.clone(), served)).into_iter().collect();
        House { directory: Arc::new(directory), clock }
    }

    /// A connection after a good handshake, and its client id.
    fn connect(&self, channel: &str, client_data: &str) -> (Session, String) {
        let mut session = Session::new(self.directory.clone());
        let frame = format!(
            "{{\"type\":\"handshake\",\"channel\":\"{channel}\",\"version\":2,\"client_data\":{client_data},\"callback\":0}}"
        );
        let answer = sent(session.on_frame(frame.as_bytes(), NOW_MS));
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        (session, answer["client_id"].as_str().unwrap().to_owned())
    }
}

fn token(client: &str, permissions: &str) -> String {
    let claims = format!(
        "{{\"client\":\"{client}\",\"channel\":\"guarded\",\"exp\":{},\"permissions\":{permissions},\"data\":{{\"n\":1}}}}",
        NOW_MS / 1000 + 60
    );
    sign(HS256, &claims, "s3cret")
}

fn authenticate(session: &mut Session, token: &str) -> String {
    let frame = format!("{{\"type\":\"authenticate\",\"token\":\"{token}\",\"callback\":1}}");
    sent(session.on_frame(frame.as_bytes(), NOW_MS))
}

/// The one frame that a step sends at once.
fn sent(step: Step) -> String {
    match step {
        Step::Send(Some(frame)) | Step::Leave(_, Some(frame)) => frame.to_string(),
        other => panic!("no frame: {other:?}"),
    }
}

fn ask_join(session: &mut Session, room: &str, fields: &str) -> Join {
    let frame = format!("{{\"type\":\"subscribe\",\"room\":\"{room}\"{fields},\"callback\":2}}");
    match session.on_frame(frame.as_bytes(), NOW_MS) {
        Step::Join(join) => join,
        other => panic!("not a join: {other:?}"),
    }
}

fn nothing_before(upto: Id) -> Result<Joined> {
    Ok(Joined { history: Vec::new(), upto, complete: true })
}

fn join(session: &mut Session, room: &str) -> Vec<String> {
    let join = ask_join(session, room, "");
    session.on_joined(join, nothing_before(Id::MIN)).iter().map(|frame| frame.to_string()).collect()
}

fn message(room: &str, id: u64) -> Item {
    let served = House::new().directory["open"].clone();
    let draft = convert::draft(id.to_string(), None);
    let message = Message {
        id: Id::from_raw(id),
        seq: Seq(id.cast_signed()),
        author: None,
        recipient: None,
        payload: draft.payload,
        kind: draft.kind,
        custom_type: None,
        extras: None,
        edited_at: None,
        expires_at: None,
    };
    let change = ChannelChange {
        id: message.id,
        channel: served.room(room).unwrap().channel,
        number: ChannelNumber(1),
        what: What::Published { message: Arc::new(message), key: None, first: false },
    };
    Item { change: Arc::new(Change::Channel(change)), topic: 0 }
}

#[test]
fn a_handshake_gives_an_id_and_says_whether_a_token_is_needed() {
    let house = House::new();
    for (channel, needed) in [("open", ""), ("guarded", ",\"require_auth\":true")] {
        let mut session = Session::new(house.directory.clone());
        let frame = format!("{{\"type\":\"handshake\",\"channel\":\"{channel}\",\"callback\":\"x\"}}");
        let answer = sent(session.on_frame(frame.as_bytes(), NOW_MS));
        let id = answer.split('"').nth(7).unwrap();
        assert!(id.len() >= 9 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':'), "{id}");
        assert_eq!(answer, format!("{{\"callback\":\"x\",\"client_id\":\"{id}\"{needed}}}"));
        assert!(session.is_open());
        let again = sent(session.on_frame(frame.as_bytes(), NOW_MS));
        assert_eq!(again, "{\"callback\":\"x\",\"error\":\"the handshake was made already\"}");
    }
}

#[test]
fn an_unknown_channel_is_turned_away_and_stays_so() {
    let mut session = Session::new(House::new().directory);
    let step = session.on_frame(b"{\"type\":\"handshake\",\"channel\":\"nope\",\"callback\":0}", NOW_MS);
    let Step::Refuse(frame) = step else { panic!("not refused: {step:?}") };
    assert_eq!(frame.as_str(), "{\"callback\":0,\"error\":\"Channel not found\"}");
    let again = session.on_frame(b"{\"type\":\"handshake\",\"channel\":\"open\",\"callback\":1}", NOW_MS);
    assert_eq!(sent(again), "{\"callback\":1,\"error\":\"handshake first\"}");
}

#[test]
fn nothing_works_before_the_handshake() {
    let mut session = Session::new(House::new().directory);
    for (kind, fields) in [("subscribe", ",\"room\":\"r\""), ("authenticate", ",\"token\":\"a.b.c\"")] {
        let frame = format!("{{\"type\":\"{kind}\"{fields},\"callback\":4}}");
        let answer = sent(session.on_frame(frame.as_bytes(), NOW_MS));
        assert_eq!(answer, "{\"callback\":4,\"error\":\"handshake first\"}");
    }
    let publish = session.on_frame(b"{\"type\":\"publish\",\"room\":\"r\",\"message\":1}", NOW_MS);
    assert_eq!(sent(publish), "{\"error\":\"handshake first\"}");
    assert!(!session.is_open());
}

#[test]
fn a_guarded_channel_wants_a_token_first() {
    let house = House::new();
    let (mut session, id) = house.connect("guarded", "null");
    let subscribe = session.on_frame(b"{\"type\":\"subscribe\",\"room\":\"r\",\"callback\":1}", NOW_MS);
    assert_eq!(sent(subscribe), "{\"callback\":1,\"error\":\"Unauthorized\"}");
    let publish = session.on_frame(b"{\"type\":\"publish\",\"room\":\"r\",\"message\":1}", NOW_MS);
    assert_eq!(sent(publish), "{\"error\":\"Unauthorized\"}");
    let answer = authenticate(&mut session, "wrongtoken");
    assert_eq!(answer, "{\"callback\":1,\"error\":\"JWT does not have 3 parts\"}");
    let foreign = token("someone:else", "{\".*\":{\"subscribe\":true}}");
    assert!(authenticate(&mut session, &foreign).contains("client claim"));

    let permissions = "{\"^feed$\":{\"subscribe\":true,\"history\":3},\"^post$\":{\"publish\":true}}";
    assert_eq!(authenticate(&mut session, &token(&id, permissions)), "{\"callback\":1}");
    assert_eq!(ask_join(&mut session, "feed", ",\"history_count\":50").count, 3);
    let refused = session.on_frame(b"{\"type\":\"subscribe\",\"room\":\"post\",\"callback\":3}", NOW_MS);
    assert!(sent(refused).contains("permission to subscribe"));
    let refused = session.on_frame(b"{\"type\":\"publish\",\"room\":\"feed\",\"message\":1}", NOW_MS);
    assert!(sent(refused).starts_with("{\"error\":\"permission to publish"));
    let allowed = session.on_frame(b"{\"type\":\"publish\",\"room\":\"post\",\"message\":1}", NOW_MS);
    let Step::Publish(publish) = allowed else { panic!("not published: {allowed:?}") };
    assert!(publish.draft.author.is_some_and(|author| author.verified && *author.id == *id));

    assert_eq!(authenticate(&mut session, &token(&id, "{}")), "{\"callback\":1}");
    let refused = session.on_frame(b"{\"type\":\"subscribe\",\"room\":\"feed\",\"callback\":3}", NOW_MS);
    assert!(sent(refused).contains("permission to subscribe"), "a second token replaces the first");
}

#[test]
fn a_reconnected_client_may_show_the_token_of_its_old_id_for_a_while() {
    let house = House::new();
    house.clock.advance_seconds(120);
    let (old, old_id) = house.connect("guarded", "null");
    let good = token(&old_id, "{}");
    let (mut other, _) = house.connect("guarded", "null");
    assert!(authenticate(&mut other, &good).contains("client claim"), "its owner is still connected");
    drop(old);
    assert_eq!(authenticate(&mut other, &good), "{\"callback\":1}");
    assert_eq!(authenticate(&mut other, &good), "{\"callback\":1}");
    let (mut third, _) = house.connect("guarded", "null");
    assert!(authenticate(&mut third, &good).contains("client claim"), "one connection at a time");
    drop(other);
    house.clock.advance_seconds(61);
    assert!(authenticate(&mut third, &good).contains("client claim"), "too late");
}

#[test]
fn after_a_restart_clients_go_on_under_the_ids_of_the_program_before() {
    let (_, before) = House::new().connect("guarded", "null");
    let house = House::new();
    let (mut session, _) = house.connect("guarded", "null");
    assert!(authenticate(&mut session, &token("aaaa:bbbbbbbbbbbbbbbb", "{}")).contains("client claim"));
    assert_eq!(authenticate(&mut session, &token(&before, "{}")), "{\"callback\":1}");
    drop(session);
    house.clock.advance_seconds(61);
    let (mut late, _) = house.connect("guarded", "null");
    assert!(authenticate(&mut late, &token(&before, "{}")).contains("client claim"));
}

#[test]
fn history_is_what_was_asked_for_within_the_caps() {
    let house = House::new();
    let (mut session, _) = house.connect("open", "null");
    let mut count = |room: &str, fields: &str| ask_join(&mut session, room, fields).count;
    assert_eq!(count("r", ""), 0);
    assert_eq!(count("r", ",\"history_count\":5,\"history\":5"), 5);
    assert_eq!(count("r", ",\"history\":7"), 7);
    assert_eq!(count("r", ",\"history_count\":1000"), 100);
    assert_eq!(count("r", ",\"history_count\":-1"), 0);
    assert_eq!(count("quiet-r", ",\"history_count\":5"), 0);
    assert_eq!(count("r", ",\"history_after\":\"123\""), 100);
    assert_eq!(count("r", ",\"history_after\":\"123\",\"history_count\":2"), 2);
    let join = ask_join(&mut session, "r", ",\"history_after\":\"123\"");
    assert_eq!(join.after, Some(Id::from_raw(123)));
    let unknown = b"{\"type\":\"subscribe\",\"room\":\"r\",\"history_after\":\"x\",\"callback\":2}";
    assert_eq!(
        sent(session.on_frame(unknown, NOW_MS)),
        "{\"callback\":2,\"error\":\"history_after: not the id of a message\"}"
    );
    let number = b"{\"type\":\"subscribe\",\"room\":\"r\",\"history_after\":4595965363270219008,\"callback\":2}";
    assert!(sent(session.on_frame(number, NOW_MS)).contains("history_after: not a string"));
}

#[test]
fn frames_after_a_subscribe_come_in_order_and_each_message_once() {
    let house = House::new();
    let (mut session, id) = house.connect("open", "{\"name\":\"Ann\"}");
    let join = ask_join(&mut session, "observable-r", ",\"history_count\":2");
    let history = vec!["{\"h\":0}".into(), "{\"h\":1}".into()];
    let frames = session.on_joined(join, Ok(Joined { history, upto: Id::from_raw(7), complete: true }));
    let frames: Vec<_> = frames.iter().map(|frame| frame.as_str()).collect();
    let list = format!(
        "{{\"type\":\"observable_members\",\"room\":\"observable-r\",\"data\":[{{\"id\":\"{id}\",\"clientData\":{{\"name\":\"Ann\"}}}}]}}"
    );
    assert_eq!(frames, ["{\"callback\":2}", list.as_str(), "{\"h\":0}", "{\"h\":1}"]);

    let items = [6, 7, 8, 9].map(|id| message("observable-r", id));
    let live = session.on_items("observable-r", &items);
    assert_eq!(live.len(), 2, "7 and what is below were history: {live:?}");
    assert!(live[0].as_str().contains("\"id\":\"8\"") && live[1].as_str().contains("\"id\":\"9\""));
    assert!(session.on_items("observable-r", &items).is_empty());
    assert!(session.on_items("other", &items).is_empty(), "a room that is not followed");
}

#[test]
fn a_failed_join_leaves_nothing_behind() {
    let house = House::new();
    let (mut session, _) = house.connect("open", "null");
    let join = ask_join(&mut session, "r", "");
    let frames = session.on_joined(join, Err(Error::unavailable("stopping")));
    assert_eq!(frames, ["{\"callback\":2,\"error\":\"stopping\"}"]);
    assert!(!session.follows("r"));
    assert!(house.directory["open"].members.of_room("r").is_empty());
}

#[tokio::test]
async fn members_hear_of_each_other_but_not_of_themselves() {
    let house = House::new();
    let (mut ann, ann_id) = house.connect("open", "{\"name\":\"Ann\"}");
    let (mut bob, bob_id) = house.connect("open", "null");
    join(&mut ann, "observable-r");
    let list = join(&mut bob, "observable-r").remove(1);
    assert!(list.contains(&ann_id) && list.contains(&bob_id), "itself included: {list}");

    let event = |kind: &str, data: &str| format!("{{\"type\":\"{kind}\",\"room\":\"observable-r\",\"data\":{data}}}");
    let bob_shown = format!("{{\"id\":\"{bob_id}\"}}");
    assert_eq!(ann.next_member_event().await.unwrap().as_str(), event("observable_member_join", &bob_shown));
    join(&mut bob, "observable-r");
    let left = bob.on_frame(b"{\"type\":\"unsubscribe\",\"room\":\"observable-r\",\"callback\":9}", NOW_MS);
    assert_eq!(sent(left), "{\"callback\":9}");
    assert_eq!(
        ann.next_member_event().await.unwrap().as_str(),
        event("observable_member_leave", &bob_shown),
        "to subscribe again is not to join again"
    );
    assert!(bob.on_items("observable-r", &[message("observable-r", 1)]).is_empty());

    join(&mut bob, "observable-r");
    ann.next_member_event().await.unwrap();
    drop(ann);
    let ann_shown = format!("{{\"id\":\"{ann_id}\",\"clientData\":{{\"name\":\"Ann\"}}}}");
    assert_eq!(bob.next_member_event().await.unwrap().as_str(), event("observable_member_leave", &ann_shown));
}

#[tokio::test]
async fn who_is_too_slow_for_joins_and_leaves_is_told_by_their_end() {
    let house = House::new();
    let (mut slow, _) = house.connect("open", "null");
    join(&mut slow, "observable-r");
    let (mut busy, _) = house.connect("open", "null");
    for _ in 0..=limits::MEMBER_EVENTS / 2 {
        join(&mut busy, "observable-r");
        busy.on_frame(b"{\"type\":\"unsubscribe\",\"room\":\"observable-r\"}", NOW_MS);
    }
    for _ in 0..limits::MEMBER_EVENTS {
        assert!(slow.next_member_event().await.is_some());
    }
    assert!(slow.next_member_event().await.is_none());
}

#[test]
fn bounds_are_answered_with_an_error() {
    let house = House::new();
    let (mut session, _) = house.connect("open", "null");
    for room in ["", &"x".repeat(10_000), "a\\u0000b"] {
        let frame = format!("{{\"type\":\"subscribe\",\"room\":\"{room}\",\"callback\":5}}");
        assert!(sent(session.on_frame(frame.as_bytes(), NOW_MS)).starts_with("{\"callback\":5,\"error\":\"room: "));
    }
    let large = "x".repeat(limits::MESSAGE_BYTES);
    let frame = format!("{{\"type\":\"publish\",\"room\":\"r\",\"message\":\"{large}\"}}");
    assert_eq!(
        sent(session.on_frame(frame.as_bytes(), NOW_MS)),
        "{\"error\":\"message: 32770 bytes, the limit is 32768\"}"
    );
    for room in 0..limits::ROOMS_PER_CONNECTION {
        join(&mut session, &format!("r{room}"));
    }
    let one_more = session.on_frame(b"{\"type\":\"subscribe\",\"room\":\"one-more\",\"callback\":6}", NOW_MS);
    assert_eq!(sent(one_more), "{\"callback\":6,\"error\":\"too many rooms on one connection\"}");
    assert_eq!(join(&mut session, "r0"), ["{\"callback\":2}"]);
}

const NAMES: [&str; 8] =
    ["channel", "client_data", "token", "room", "history", "history_count", "history_after", "message"];

/// Any frame, most of them nearly right.
fn any_frame() -> impl Strategy<Value = (String, Option<String>)> {
    let kind = prop_oneof![
        Just("\"handshake\""),
        Just("\"authenticate\""),
        Just("\"subscribe\""),
        Just("\"unsubscribe\""),
        Just("\"publish\""),
        Just("\"ping\""),
        Just("7"),
    ];
    let value = prop_oneof![
        Just("\"open\"".to_owned()),
        Just("\"observable-r\"".to_owned()),
        Just("null".to_owned()),
        Just("[{}]".to_owned()),
        (-5..200_i32).prop_map(|number| number.to_string()),
    ];
    let callback =
        proptest::option::of(prop_oneof![Just("0".to_owned()), Just("\"a\"".to_owned()), Just("[1]".to_owned())]);
    let fields = proptest::collection::btree_map(proptest::sample::select(NAMES.as_slice()), value, 0..6);
    (kind, fields, callback).prop_map(|(kind, fields, callback)| {
        let mut frame = format!("{{\"type\":{kind}");
        for (name, value) in fields {
            frame += &format!(",\"{name}\":{value}");
        }
        if let Some(callback) = &callback {
            frame += &format!(",\"callback\":{callback}");
        }
        (frame + "}", callback)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_callback_is_answered_exactly_once(
        frames in proptest::collection::vec(any_frame(), 1..20), open in any::<bool>(), works in any::<bool>()
    ) {
        let house = House::new();
        let mut session =
            if open { house.connect("open", "null").0 } else { Session::new(house.directory.clone()) };
        for (frame, callback) in frames {
            let answers: Vec<Frame> = match session.on_frame(frame.as_bytes(), NOW_MS) {
                Step::Send(frame) | Step::Leave(_, frame) => frame.into_iter().collect(),
                Step::Refuse(frame) => vec![frame],
                Step::Publish(publish) => {
                    let published = Published { id: Id::MIN, seq: Seq::NONE, repeated: false };
                    let outcome = if works { Ok(published) } else { Err(Error::unavailable("no")) };
                    session.on_published(publish.callback, &outcome).into_iter().collect()
                }
                Step::Join(join) => {
                    let outcome = if works { nothing_before(Id::MIN) } else { Err(Error::unavailable("no")) };
                    session.on_joined(join, outcome)
                }
            };
            let carried: Vec<String> = answers
                .iter()
                .map(|answer| serde_json::from_str::<HashMap<String, Box<RawValue>>>(answer).expect("an object"))
                .filter_map(|answer| answer.get("callback").map(|raw| raw.get().to_owned()))
                .collect();
            prop_assert_eq!(carried, callback.into_iter().collect::<Vec<_>>(), "{}", frame);
        }
    }

    #[test]
    fn any_bytes_get_an_answer_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut session, _) = House::new().connect("open", "null");
        let step = session.on_frame(&bytes, NOW_MS);
        prop_assert!(matches!(step, Step::Send(Some(_))));
    }
}
