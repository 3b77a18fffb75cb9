//! What goes out, byte for byte, and what comes in.

use super::*;
use bytes::Bytes;
use model::{Kind, Payload, UserId};

fn message(payload: &str, form: PayloadForm) -> Message {
    Message {
        id: Id::new(17_358_238_908_727_392, 0),
        seq: Seq(7),
        author: None,
        recipient: None,
        payload: Payload { form, bytes: Bytes::copy_from_slice(payload.as_bytes()) },
        kind: Kind::Message,
        custom_type: None,
        extras: None,
        edited_at: None,
        expires_at: None,
    }
}

fn shown(message: &Message, channel: Option<&str>) -> String {
    let mut out = Vec::new();
    push_message(&mut out, message, channel);
    String::from_utf8(out).expect("text")
}

#[test]
fn a_payload_goes_out_as_it_came_in() {
    let odd = r#"{"a":1,"a":2.50, "n":123456789012345678901234567890, "s":"\ud800"}"#;
    let expected = format!(
        r#"{{"id":"4443709160634212352","timetoken":"17358238908727392","seq":7,"time":"2025-01-02T13:18:10.8727392Z","payload":{odd}}}"#
    );
    assert_eq!(shown(&message(odd, PayloadForm::Json), None), expected);
}

#[test]
fn what_others_wrote_is_shown_too() {
    let mut message = message("say \"hi\"\n", PayloadForm::Text);
    message.author = Some(UserId::new(Origin::Pubnub, "ann", false).expect("a user"));
    message.custom_type = Some("chat".into());
    message.extras = Some(Bytes::from_static(br#"{"other":[1],"meta":{"k": 1}}"#));
    message.seq = Seq::NONE;
    let text = shown(&message, Some("a\"b"));
    let tail = text.split_once("8727392Z\"").expect("a time").1;
    let expected = r#","channel":"a\"b","author":"ann","origin":"pubnub","type":"chat","meta":{"k": 1},"form":"text","payload":"say \"hi\"\n"}"#;
    assert_eq!(tail, expected);
    assert!(!text.contains("\"seq\""), "what is not stored has no seq");
    message.extras = Some(Bytes::from_static(b"not json"));
    assert!(!shown(&message, None).contains("meta"), "extras of another format are left out");
}
