//! What history is asked for (`protocols/agora-rtm.md` §3.1, §3.4): the body of a query, the parameters of a count, and
//! what both select. One reading of both, so that a count is always what the pages have together.

use crate::{
    convert::{self, chat_name},
    error::{Refusal, parameter},
    limits, time,
};
use model::{ChannelName, Id, Order, Result, Selection, Selector, Span, limits::USER_ID_BYTES};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Which messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// From whom, to whom.
    pub who: Who,
    /// Not before this time in Unix milliseconds.
    pub start_ms: u64,
    /// Not after this one.
    pub end_ms: u64,
}

/// From whom, to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// All that a user sent, to users and to channels.
    From(String),
    /// All that a user received, and all in the channel of the same name.
    To(String),
    /// From a user to a user, one direction; and from the user to the channel of the same name.
    FromTo(String, String),
    /// Between two users, both directions: beyond the vendor.
    Between(String, String),
}

/// A query for one page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Which messages.
    pub filter: Filter,
    /// Where the page begins.
    pub begin: Begin,
    /// How many messages at most.
    pub limit: u32,
    /// From which end.
    pub order: Order,
}

/// Where a page begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// After leaving out so many.
    Offset(u64),
    /// Behind this message: beyond the vendor.
    Cursor(Id),
}

impl Filter {
    /// The ids between its times.
    pub fn span(&self) -> Span {
        convert::span(self.start_ms, self.end_ms)
    }
}

impl Query {
    /// How many messages to leave out.
    pub fn offset(&self) -> u64 {
        match self.begin {
            Begin::Offset(offset) => offset,
            Begin::Cursor(_) => 0,
        }
    }

    /// What is left of its span behind the cursor, and at or below `head`: what is sent later moves no page.
    pub fn span(&self, head: Id) -> Span {
        let mut span = self.filter.span();
        span.upto = span.upto.min(head);
        match (self.begin, self.order) {
            (Begin::Offset(_), _) => {}
            (Begin::Cursor(last), Order::Ascending) => span.after = span.after.max(last),
            (Begin::Cursor(last), Order::Descending) => span.upto = span.upto.min(last.previous()),
        }
        span
    }
}

impl Who {
    /// What it selects of the channels that `reaches` lets through; none if that is nothing. A name means a user and a
    /// channel alike (§3.1).
    pub fn selection(&self, reaches: impl Fn(&ChannelName) -> bool) -> Result<Option<Selection>> {
        let is_user = |name: &str| name.len() + convert::CHAT_PREFIX.len() <= USER_ID_BYTES;
        let mut selectors = Vec::new();
        match self {
            Who::From(author) if is_user(author) => {
                selectors.push(Selector::Author(author.as_str().into()));
                selectors.push(Selector::Sender(chat_name(author)));
            }
            Who::From(_) => {}
            Who::To(name) => {
                let channel = ChannelName::named(name)?;
                selectors.extend(is_user(name).then(|| Selector::Recipient(chat_name(name))));
                selectors.extend(reaches(&channel).then_some(Selector::Channel(channel)));
            }
            Who::FromTo(author, name) if is_user(author) => {
                let channel = ChannelName::named(name)?;
                selectors.extend(is_user(name).then(|| pair(author, name)));
                let within = || Selector::AuthorIn { author: author.as_str().into(), channel: channel.clone() };
                selectors.extend(reaches(&channel).then(within));
            }
            Who::FromTo(..) => {}
            Who::Between(a, b) if is_user(a) && is_user(b) => selectors.extend([pair(a, b), pair(b, a)]),
            Who::Between(..) => {}
        }
        if selectors.is_empty() { Ok(None) } else { Selection::new(selectors).map(Some) }
    }
}

fn pair(author: &str, recipient: &str) -> Selector {
    Selector::Pair { author: chat_name(author), recipient: chat_name(recipient) }
}

/// Reads the body of a query.
pub fn of_body(body: &[u8], default_order: Order) -> Result<Query, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| parameter("the body is not JSON"))?;
    let Value::Object(body) = body else { return Err(parameter("the body is not a JSON object")) };
    let filter = match given(&body, "filter") {
        Some(Value::Object(filter)) => filter,
        Some(_) => return Err(parameter("filter must be an object")),
        None => return Err(parameter("filter is required")),
    };
    Ok(Query {
        filter: Filter::of(&Fields { map: filter })?,
        begin: begin(&body)?,
        limit: limit(&body)?,
        order: order(&body, default_order)?,
    })
}

/// Reads the parameters of a count.
pub fn of_parameters(query: &str) -> Result<Filter, Refusal> {
    Filter::of(&Parameters::of(query)?)
}

/// A value that is there and not null.
fn given<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

fn begin(body: &Map<String, Value>) -> Result<Begin, Refusal> {
    let offset = match given(body, "offset") {
        None => None,
        Some(value) => Some(value.as_u64().ok_or_else(|| parameter("offset must be a whole number from 0"))?),
    };
    let cursor = match given(body, "cursor") {
        None => None,
        Some(Value::String(text)) => Some(text.parse().map_err(|_| parameter("cursor is not one of a page"))?),
        Some(_) => return Err(parameter("cursor must be a string")),
    };
    match (offset, cursor) {
        (offset, None) => Ok(Begin::Offset(offset.unwrap_or(0))),
        (None | Some(0), Some(id)) => Ok(Begin::Cursor(Id::from_raw(id))),
        (Some(_), Some(_)) => Err(parameter("cursor and offset exclude each other")),
    }
}

fn limit(body: &Map<String, Value>) -> Result<u32, Refusal> {
    let Some(value) = given(body, "limit") else { return Ok(limits::DEFAULT_PAGE_MESSAGES) };
    let number = value.as_u64().filter(|number| (1..=u64::from(limits::PAGE_MESSAGES)).contains(number));
    let number = number.ok_or_else(|| parameter("limit must be a whole number from 1 to 100"))?;
    Ok(number as u32)
}

fn order(body: &Map<String, Value>, default: Order) -> Result<Order, Refusal> {
    match given(body, "order") {
        None => Ok(default),
        Some(value) if value == "asc" => Ok(Order::Ascending),
        Some(value) if value == "desc" => Ok(Order::Descending),
        Some(_) => Err(parameter("order must be asc or desc")),
    }
}

/// The word for an order.
pub fn order_word(order: Order) -> &'static str {
    match order {
        Order::Ascending => "asc",
        Order::Descending => "desc",
    }
}

/// Where a filter is read from.
trait Source {
    /// A text that may be missing; an empty one is as good as none.
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal>;
    /// Two texts under one name.
    fn two(&self, name: &str) -> Result<Option<(String, String)>, Refusal>;
    /// How a message calls a field.
    fn called(&self, name: &str) -> String;
}

impl Filter {
    fn of(source: &impl Source) -> Result<Filter, Refusal> {
        let who = who(source)?;
        let start_ms = moment(source, "start_time")?;
        let end_ms = moment(source, "end_time")?;
        if start_ms > end_ms {
            let (start, end) = (source.called("start_time"), source.called("end_time"));
            return Err(parameter(format!("{start} is after {end}")));
        }
        Ok(Filter { who, start_ms, end_ms })
    }
}

fn who(source: &impl Source) -> Result<Who, Refusal> {
    let name = |field: &str| -> Result<Option<String>, Refusal> {
        let Some(text) = source.text(field)? else { return Ok(None) };
        check_name(&source.called(field), text)?;
        Ok(Some(text.to_owned()))
    };
    let (from, to, between) = (name("source")?, name("destination")?, source.two("between")?);
    Ok(match (from, to, between) {
        (Some(from), None, None) => Who::From(from),
        (None, Some(to), None) => Who::To(to),
        (Some(from), Some(to), None) => Who::FromTo(from, to),
        (None, None, Some((a, b))) => {
            for name in [&a, &b] {
                check_name(&source.called("between"), name)?;
            }
            Who::Between(a, b)
        }
        (None, None, None) => {
            let (from, to) = (source.called("source"), source.called("destination"));
            return Err(parameter(format!("{from} or {to} is required")));
        }
        (_, _, Some(_)) => {
            let called = source.called("between");
            return Err(parameter(format!("{called} goes without source and destination")));
        }
    })
}

/// Names of other dialects may be longer than this one's ids, and of any characters.
fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    ChannelName::named(name).map(drop).map_err(|_| {
        let most = model::limits::CHANNEL_NAME_BYTES;
        parameter(format!("{field}: 1 to {most} bytes without NUL"))
    })
}

fn moment(source: &impl Source, field: &str) -> Result<u64, Refusal> {
    let called = source.called(field);
    let text = source.text(field)?.ok_or_else(|| parameter(format!("{called} is required")))?;
    time::unix_ms(text).ok_or_else(|| parameter(format!("{called} must be a UTC time like 2019-08-01T01:22:10Z")))
}

/// The filter of a body.
struct Fields<'a> {
    map: &'a Map<String, Value>,
}

impl Source for Fields<'_> {
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match given(self.map, name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(parameter(format!("{} must be a string", self.called(name)))),
        }
    }

    fn two(&self, name: &str) -> Result<Option<(String, String)>, Refusal> {
        let Some(value) = given(self.map, name) else { return Ok(None) };
        match value.as_array().map(Vec::as_slice) {
            Some([Value::String(a), Value::String(b)]) => Ok(Some((a.clone(), b.clone()))),
            _ => Err(parameter(format!("{} must be a list of two strings", self.called(name)))),
        }
    }

    fn called(&self, name: &str) -> String {
        format!("filter.{name}")
    }
}

/// The parameters of a query string. The vendor's pages print an empty first pair and values in double quotes (§3.4).
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(query: &str) -> Result<Parameters, Refusal> {
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            let decoded = percent_decode_str(&text).decode_utf8().map(|text| text.into_owned());
            decoded.map_err(|_| parameter("the query string is not UTF-8"))
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let pairs: Result<Vec<_>, Refusal> = pairs
            .map(|(name, value)| {
                let value = decode(value)?;
                let bare = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
                Ok((decode(name)?, bare.unwrap_or(&value).to_owned()))
            })
            .collect();
        Ok(Parameters(pairs?))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

impl Source for Parameters {
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        Ok(self.all(name).next())
    }

    fn two(&self, name: &str) -> Result<Option<(String, String)>, Refusal> {
        match self.all(name).collect::<Vec<_>>()[..] {
            [] => Ok(None),
            [a, b] => Ok(Some((a.to_owned(), b.to_owned()))),
            _ => Err(parameter(format!("{name} must be given twice"))),
        }
    }

    fn called(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// A parameter of a query string; an empty one is as good as none.
pub fn value(query: &str, name: &str) -> Result<Option<String>, Refusal> {
    Ok(Parameters::of(query)?.text(name)?.map(str::to_owned))
}

#[cfg(test)]
mod tests;
