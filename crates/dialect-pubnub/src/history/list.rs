//! The answers of v2 history (`protocols/pubnub.md` §6).

use super::render::write_meta;
use crate::{
    convert,
    wire::{Query, json},
};
use model::Message;

/// Which fields a v2 history shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListFields {
    token: bool,
    meta: bool,
    tokens_as_text: bool,
    ends_as_text: bool,
}

impl ListFields {
    /// What a query asks for. `string_message_token` is a JavaScript client's wish for exact tokens; it says the same
    /// of the two ends, which that client reads as text anyway.
    pub fn of(query: &Query) -> ListFields {
        let text = query.flag("string_message_token", false);
        ListFields {
            token: query.flag("include_token", false),
            meta: query.flag("include_meta", false),
            tokens_as_text: text,
            ends_as_text: query.flag("stringtoken", false),
        }
    }
}

/// `[messages, first timetoken, last timetoken]`.
pub fn list<'a>(messages: impl Iterator<Item = &'a Message>, fields: &ListFields) -> Vec<u8> {
    let mut out = b"[[".to_vec();
    let mut ends = None;
    json::joined(&mut out, messages, |out, message| {
        let token = message.id.timetoken();
        ends = Some((ends.map_or(token, |(first, _)| first), token));
        write_item(out, message, fields);
    });
    out.push(b']');
    let (first, last) = ends.unwrap_or_default();
    for token in [first, last] {
        out.push(b',');
        write_token(&mut out, token, fields.ends_as_text);
    }
    out.push(b']');
    out
}

fn write_item(out: &mut Vec<u8>, message: &Message, fields: &ListFields) {
    if !fields.token && !fields.meta {
        return convert::write_payload(out, &message.payload);
    }
    out.extend_from_slice(b"{\"message\":");
    convert::write_payload(out, &message.payload);
    if fields.token {
        out.extend_from_slice(b",\"timetoken\":");
        write_token(out, message.id.timetoken(), fields.tokens_as_text);
    }
    if fields.meta {
        write_meta(out, message);
    }
    out.push(b'}');
}

fn write_token(out: &mut Vec<u8>, token: u64, as_text: bool) {
    if as_text { json::token(out, token) } else { json::number(out, token) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::render::tests::{full, message},
        *,
    };

    fn check_list(query: &str, expected: &str) {
        let messages = [full(17194265713850412), message(17194265737681220, "\"x\"")];
        let fields = ListFields::of(&Query::parse(query).unwrap());
        let out = list(messages.iter(), &fields);
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }

    /// `protocols/pubnub.md` §6.
    #[test]
    fn lists_show_what_is_asked_for() {
        check_list("", r#"[[{"a": 1.0},"x"],17194265713850412,17194265737681220]"#);
        check_list(
            "include_token=true&stringtoken=1",
            r#"[[{"message":{"a": 1.0},"timetoken":17194265713850412},{"message":"x","timetoken":17194265737681220}],"17194265713850412","17194265737681220"]"#,
        );
        check_list(
            "include_meta=true",
            r#"[[{"message":{"a": 1.0},"meta":{"k": 1}},{"message":"x","meta":""}],17194265713850412,17194265737681220]"#,
        );
        check_list(
            "include_meta=1&include_token=1&string_message_token=true",
            r#"[[{"message":{"a": 1.0},"timetoken":"17194265713850412","meta":{"k": 1}},{"message":"x","timetoken":"17194265737681220","meta":""}],17194265713850412,17194265737681220]"#,
        );
        assert_eq!(list([].into_iter(), &ListFields::of(&Query::default())), b"[[],0,0]");
    }
}
