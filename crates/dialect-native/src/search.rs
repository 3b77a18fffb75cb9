//! `GET search`: messages by their words, over one, several or all channels that the caller may read.

use crate::{
    Native,
    call::{Answer, Call},
    error::Problem,
    history::{author, bounds, order},
    json,
    json::push_string,
    params::Params,
    settings::{FOUND_MESSAGES, FOUND_MESSAGES_MOST},
    wire,
};
use model::{ChannelName, Id, Order};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Hit, Hits, SearchQuery};

const KNOWN: [&str; 11] =
    ["q", "channel", "after", "since", "before", "upto", "order", "limit", "author", "origin", "type"];

impl Native {
    pub(crate) async fn search(&self, call: Call<'_>) -> Answer {
        let (caller, params) = call.params()?;
        let query = parse(params)?;
        let hits = self.channels.search(caller, query.clone()).await?;
        Ok(json(render(&hits, &query).into()))
    }
}

fn parse(mut params: Params<'_>) -> Result<SearchQuery, Problem> {
    let words = params.take("q")?.ok_or_else(|| Problem::invalid("q", "what is looked for is missing"))?.into_owned();
    let names = params.take_all("channel");
    let names = names.iter().map(|name| ChannelName::named(name).map_err(Problem::from)).collect::<Result<Vec<_>, _>>();
    let channels = Some(names?).filter(|names| !names.is_empty());
    let (_, span) = bounds(&mut params)?;
    let order = order(&mut params)?.unwrap_or(Order::Descending);
    let limit = params.take_number("limit", 1..=FOUND_MESSAGES_MOST, FOUND_MESSAGES)? as u32;
    let author = author(&mut params)?;
    let custom_type = params.take("type")?.map(|text| text.into());
    params.finish(&KNOWN)?;
    Ok(SearchQuery { words, channels, span, order, limit, author, custom_type })
}

fn render(hits: &Hits, query: &SearchQuery) -> Vec<u8> {
    let mut out = b"{\"hits\":[".to_vec();
    for (index, hit) in hits.list.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_hit(&mut out, hit);
    }
    let (after, upto) = (hits.covered.after, hits.covered.upto);
    let (more, indexed) = (hits.more, hits.indexed);
    wire::push(&mut out, format_args!("],\"page\":{{\"covered\":{{\"after\":\"{after}\",\"upto\":\"{upto}\"}}"));
    wire::push(&mut out, format_args!(",\"more\":{more},\"indexed\":\"{indexed}\""));
    match hits.more {
        true => wire::push_field(&mut out, "next", &next(hits, query)),
        false => out.extend_from_slice(b",\"next\":null"),
    }
    out.extend_from_slice(b"}}");
    out
}

fn push_hit(out: &mut Vec<u8>, hit: &Hit) {
    out.extend_from_slice(b"{\"message\":");
    wire::push_message(out, &hit.message, hit.channel.as_named());
    out.extend_from_slice(b",\"snippet\":[");
    for (index, piece) in hit.snippet.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"text\":" } else { b"{\"text\":" });
        push_string(out, &piece.text);
        if piece.found {
            out.extend_from_slice(b",\"found\":true");
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// The same search over what was not looked through.
fn next(hits: &Hits, query: &SearchQuery) -> String {
    let (name, after, upto) = match query.order {
        Order::Descending => ("desc", query.span.after, hits.covered.after),
        Order::Ascending => ("asc", hits.covered.upto, query.span.upto),
    };
    let mut link = format!("?q={}&order={name}&limit={}", encoded(&query.words), query.limit);
    if after > Id::MIN {
        link += &format!("&after={after}");
    }
    if upto < Id::MAX {
        link += &format!("&upto={upto}");
    }
    for name in query.channels.iter().flatten().filter_map(ChannelName::as_named) {
        link += &format!("&channel={}", encoded(name));
    }
    if let Some(author) = &query.author {
        link += &format!("&author={}", encoded(&author.id));
        if let Some(origin) = author.origin {
            link += &format!("&origin={}", wire::origin_name(origin));
        }
    }
    if let Some(custom_type) = &query.custom_type {
        link += &format!("&type={}", encoded(custom_type));
    }
    link
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    fn query(text: &str) -> Result<SearchQuery, u16> {
        parse(Params::parse(Some(text)).expect("well formed")).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_link_asks_for_the_rest_of_the_same() {
        let asked = query("q=caf%C3%A9+x&channel=a/b&channel=c&author=ann&origin=pubnub&type=note&limit=5&after=10")
            .expect("a query");
        assert_eq!(asked.channels.as_ref().map(Vec::len), Some(2));
        let covered = Span { after: Id::from_raw(40), upto: Id::from_raw(90) };
        let hits = Hits { list: Vec::new(), covered, more: true, indexed: Id::from_raw(90) };
        let link = next(&hits, &asked);
        let rest = SearchQuery { span: Span { after: Id::from_raw(10), upto: Id::from_raw(40) }, ..asked.clone() };
        assert_eq!(query(&link[1..]), Ok(rest));
        let ascending = SearchQuery { order: Order::Ascending, ..asked };
        let rest = SearchQuery { span: Span { after: Id::from_raw(90), upto: Id::MAX }, ..ascending.clone() };
        assert_eq!(query(&next(&hits, &ascending)[1..]), Ok(rest));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for bad in ["", "q=a&q=b", "q=a&limit=0", "q=a&limit=101", "q=a&after=5&before=5", "q=a&order=up", "q=a&x=1"] {
            assert_eq!(query(bad), Err(400), "{bad}");
        }
    }
}
