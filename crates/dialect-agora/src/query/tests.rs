//! What callers ask for, in every shape that was seen, and what is refused.

use super::*;

const START: &str = "2019-08-01T01:22:10Z";
const END: &str = "2019-08-01T01:32:10Z";
const START_MS: u64 = 1_564_622_530_000;
const END_MS: u64 = START_MS + 600_000;

/// A body with these fields in its filter, beside the times, and these beside the filter.
fn body(filter: &str, rest: &str) -> String {
    let comma = if filter.is_empty() { "" } else { "," };
    format!(r#"{{"filter":{{{filter}{comma}"start_time":"{START}","end_time":"{END}"}}{rest}}}"#)
}

fn read(filter: &str, rest: &str) -> Query {
    let body = body(filter, rest);
    of_body(body.as_bytes(), Order::Descending).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
}

/// What is said about a body that is refused.
fn refused(body: &str) -> String {
    match of_body(body.as_bytes(), Order::Descending) {
        Err(Refusal::Parameter(text)) => text.into_owned(),
        other => panic!("{body}: {other:?}"),
    }
}

fn counted(parameters: &str) -> Result<Filter, String> {
    of_parameters(parameters).map_err(|refusal| match refusal {
        Refusal::Parameter(text) => text.into_owned(),
        other => panic!("{parameters}: {other:?}"),
    })
}

#[test]
fn absent_null_and_empty_names_are_not_given() {
    for (filter, who) in [
        (r#""source":"a""#, Who::From("a".into())),
        (r#""source":"a","destination":null"#, Who::From("a".into())),
        (r#""source":"a","destination":"""#, Who::From("a".into())),
        (r#""source":"","destination":"b""#, Who::To("b".into())),
        (r#""destination":"b""#, Who::To("b".into())),
        (r#""source":"a","destination":"b""#, Who::FromTo("a".into(), "b".into())),
        (r#""between":["a","b"],"source":"""#, Who::Between("a".into(), "b".into())),
    ] {
        let expected = Filter { who, start_ms: START_MS, end_ms: END_MS };
        assert_eq!(read(filter, "").filter, expected, "{filter}");
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let query = read(r#""source":"a""#, r#","off_set":7,"extra":{"x":[1]}"#);
    assert_eq!((query.begin, query.limit, query.order), (Begin::Offset(0), 20, Order::Descending));
    let query = read(r#""source":"a""#, r#","offset":null,"limit":null,"order":null"#);
    assert_eq!((query.begin, query.limit, query.order), (Begin::Offset(0), 20, Order::Descending));
    let ascending = of_body(body(r#""source":"a""#, "").as_bytes(), Order::Ascending).expect("it is read");
    assert_eq!(ascending.order, Order::Ascending);
    for (rest, begin, limit, order) in [
        (r#","offset":100,"limit":100,"order":"asc""#, Begin::Offset(100), 100, Order::Ascending),
        (r#","offset":18446744073709551615,"limit":1"#, Begin::Offset(u64::MAX), 1, Order::Descending),
        (r#","limit":10,"cursor":"77","offset":0"#, Begin::Cursor(Id::from_raw(77)), 10, Order::Descending),
    ] {
        let query = read(r#""source":"a""#, rest);
        assert_eq!((query.begin, query.limit, query.order), (begin, limit, order), "{rest}");
    }
}

#[test]
fn bodies_that_are_wrong_are_told_why() {
    for (body, text) in [
        ("", "the body is not JSON"),
        ("{", "the body is not JSON"),
        ("\u{feff}{}", "the body is not JSON"),
        ("[]", "the body is not a JSON object"),
        ("7", "the body is not a JSON object"),
        ("{}", "filter is required"),
        (r#"{"filter":null}"#, "filter is required"),
        (r#"{"filter":"x"}"#, "filter must be an object"),
        (r#"{"filter":[]}"#, "filter must be an object"),
        (r#"{"filter":{}}"#, "filter.source or filter.destination is required"),
        (r#"{"filter":{"source":"","destination":null}}"#, "filter.source or filter.destination is required"),
        (r#"{"filter":{"source":7}}"#, "filter.source must be a string"),
        (r#"{"filter":{"destination":["a"]}}"#, "filter.destination must be a string"),
        (r#"{"filter":{"source":"a\u0000"}}"#, "filter.source: 1 to 512 bytes without NUL"),
        (r#"{"filter":{"between":["a"]}}"#, "filter.between must be a list of two strings"),
        (r#"{"filter":{"between":["a",""]}}"#, "filter.between: 1 to 512 bytes without NUL"),
        (r#"{"filter":{"between":["a","b"],"source":"a"}}"#, "filter.between goes without source and destination"),
        (r#"{"filter":{"source":"a"}}"#, "filter.start_time is required"),
        (r#"{"filter":{"source":"a","start_time":""}}"#, "filter.start_time is required"),
        (r#"{"filter":{"source":"a","start_time":1564622530}}"#, "filter.start_time must be a string"),
        (
            r#"{"filter":{"source":"a","start_time":"2019-08-01T01:22:10+08:00"}}"#,
            "filter.start_time must be a UTC time like 2019-08-01T01:22:10Z",
        ),
        (r#"{"filter":{"source":"a","start_time":"2019-08-01T01:22:10Z"}}"#, "filter.end_time is required"),
        (
            r#"{"filter":{"source":"a","start_time":"2019-08-01T01:22:10.001Z","end_time":"2019-08-01T01:22:10Z"}}"#,
            "filter.start_time is after filter.end_time",
        ),
    ] {
        assert_eq!(refused(body), text, "{body}");
    }
}

#[test]
fn numbers_and_words_that_are_wrong_are_told_why() {
    let limit = "limit must be a whole number from 1 to 100";
    let offset = "offset must be a whole number from 0";
    for (rest, text) in [
        (r#""limit":0"#, limit),
        (r#""limit":-1"#, limit),
        (r#""limit":101"#, limit),
        (r#""limit":"20""#, limit),
        (r#""limit":1.5"#, limit),
        (r#""limit":20.0"#, limit),
        (r#""limit":true"#, limit),
        (r#""limit":99999999999999999999"#, limit),
        (r#""offset":-1"#, offset),
        (r#""offset":"0""#, offset),
        (r#""offset":0.5"#, offset),
        (r#""offset":18446744073709551616"#, offset),
        (r#""order":"ASC""#, "order must be asc or desc"),
        (r#""order":"""#, "order must be asc or desc"),
        (r#""order":1"#, "order must be asc or desc"),
        (r#""cursor":7"#, "cursor must be a string"),
        (r#""cursor":"x""#, "cursor is not one of a page"),
        (r#""cursor":"7","offset":1"#, "cursor and offset exclude each other"),
    ] {
        assert_eq!(refused(&body(r#""source":"a""#, &format!(",{rest}"))), text, "{rest}");
    }
    let deep = format!(r#"{{"filter":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refused(&deep), "the body is not JSON", "and does not overflow");
}

#[test]
fn counts_are_read_however_pages_print_them() {
    let expected = |who| Ok(Filter { who, start_ms: START_MS, end_ms: END_MS });
    let times = format!("start_time={START}&end_time={END}");
    let encoded = times.replace(':', "%3A");
    for (parameters, who) in [
        (format!("source=a&destination=b&{times}"), Who::FromTo("a".into(), "b".into())),
        (format!("?&destination=b&{times}")[1..].to_owned(), Who::To("b".into())),
        (format!("source=\"a\"&{encoded}"), Who::From("a".into())),
        (format!("source=%22a%22&destination=%22%22&{times}&x=%20"), Who::From("a".into())),
        (format!("source=&destination=a%2Bb+c&{times}"), Who::To("a+b c".into())),
        (format!("between=a&between=b,c&{times}"), Who::Between("a".into(), "b,c".into())),
        (format!("{times}&source=a&source=b"), Who::From("a".into())),
    ] {
        assert_eq!(counted(&parameters), expected(who), "{parameters}");
    }
    let quoted = format!("source=a&start_time=\"{START}\"&end_time=%22{END}%22");
    assert_eq!(counted(&quoted), expected(Who::From("a".into())));
    for (parameters, text) in [
        ("", "source or destination is required"),
        (times.as_str(), "source or destination is required"),
        ("source=a", "start_time is required"),
        ("source=%ff", "the query string is not UTF-8"),
        ("between=a&start_time=x", "between must be given twice"),
    ] {
        assert_eq!(counted(parameters), Err(text.to_owned()), "{parameters}");
    }
}

#[test]
fn a_cursor_goes_on_behind_its_message_in_either_order() {
    let at = |ms: u64| Id::new(ms * model::TICKS_PER_MS, 0);
    let cursor = at(START_MS + 5_000);
    let mut query = read(r#""source":"a""#, &format!(r#","cursor":"{}""#, cursor.raw()));
    let (span, head) = (query.filter.span(), at(START_MS + 9_000));
    assert_eq!(query.span(head), Span { after: span.after, upto: cursor.previous() });
    query.order = Order::Ascending;
    assert_eq!(query.span(head), Span { after: cursor, upto: head }, "and no further than what was visible");
    assert_eq!(query.offset(), 0);
}

#[test]
fn a_name_means_a_user_and_a_channel_and_never_somebody_elses_chats() {
    let open = |_: &ChannelName| true;
    let parts = |who: Who, reaches: fn(&ChannelName) -> bool| -> Vec<Selector> {
        let selection = who.selection(reaches).expect("it is valid");
        selection.map_or_else(Vec::new, |found| found.parts().iter().map(|(part, _)| part.clone()).collect())
    };
    let (a, b) = (String::from("a"), String::from("1001"));
    let room = ChannelName::named("1001").expect("a name");
    let chats = |name: &str| -> std::sync::Arc<str> { format!("agora/{name}").into() };
    assert_eq!(parts(Who::From(b.clone()), open), [Selector::Author("1001".into()), Selector::Sender(chats("1001"))]);
    let to = [Selector::Recipient(chats("1001")), Selector::Channel(room.clone())];
    assert_eq!(parts(Who::To(b.clone()), open), to);
    assert_eq!(parts(Who::To(b.clone()), |_| false), to[..1], "a channel that is not seen is as good as none");
    let pair = |author: &str, recipient: &str| Selector::Pair { author: chats(author), recipient: chats(recipient) };
    let within = Selector::AuthorIn { author: "a".into(), channel: room };
    assert_eq!(parts(Who::FromTo(a.clone(), b.clone()), open), [pair("a", "1001"), within]);
    assert_eq!(parts(Who::Between(a, b), open), [pair("a", "1001"), pair("1001", "a")]);
    let long = "x".repeat(300);
    assert_eq!(parts(Who::From(long.clone()), open), [], "no user has such a name");
    assert_eq!(parts(Who::To(long), open).len(), 1, "but a channel may");
}
