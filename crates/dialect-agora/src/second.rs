//! History of the vendor's present API, 2.x: one call that walks from the newest message back. `start` is the newer
//! bound, 0 for now; `end` the older one, 0 for the beginning; both inclusive. A message channel is a channel here, a user
//! channel what that user received. The next page begins at `newStart`, 0 when nothing is left.
//!
//! A page is never cut between messages of one millisecond without saying so: `newStart` is then in microseconds, which
//! have more digits than any millisecond of this time, and `start` takes it as such.

use crate::{
    convert,
    dialect::Call,
    error::{Refusal, parameter},
    limits, query,
    route::Place,
    wire::{Reply, SecondAnswer, SecondMessage, SecondPage},
};
use model::{ChannelName, Id, Order, Result, Selected, Selection, Selector, Span, TICKS_PER_MS, limits::USER_ID_BYTES};
use service::SelectionQuery;

/// What the vendor calls the call.
pub const OPERATION: &str = "getMessage";
/// From here on a number counts microseconds: as milliseconds it is a time in the year 5138.
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
/// Ticks of 100 ns in a microsecond: so many messages may have the same one.
const TICKS_PER_MICROSECOND: u64 = 10;

/// A page of history.
pub async fn history(call: &Call<'_>, user: &str, of: &Place) -> Result<Reply, Refusal> {
    convert::check_id("userId", user)?;
    let wanted = Wanted::of(call.query)?;
    let (mut found, is_all) = match selection(call, of)? {
        Some(selection) => read(call, &selection, &wanted).await?,
        None => (Vec::new(), true),
    };
    // Of a page that ended for its bytes the last message shows where the next one begins.
    let count = if is_all { wanted.count as usize } else { found.len().saturating_sub(1).min(wanted.count as usize) };
    let new_start = cut(&mut found, count);
    let messages: Vec<_> = found.iter().map(message).collect();
    Ok(Reply::ok(&SecondAnswer {
        error_code: 200,
        error: false,
        request_id: call.request_id,
        operation: OPERATION,
        reason: "",
        timestamp: call.now_ms,
        data: SecondPage { count: messages.len(), message_list: messages, new_start },
    }))
}

/// What is asked for.
pub struct Wanted {
    span: Span,
    count: u32,
}

impl Wanted {
    /// Reads it from a query string.
    pub fn of(parameters: &str) -> Result<Wanted, Refusal> {
        let number = |name: &'static str| -> Result<u64, Refusal> {
            let Some(text) = query::value(parameters, name)? else { return Ok(0) };
            text.parse().map_err(|_| parameter(format!("{name} must be a whole number from 0")))
        };
        let (start, end) = (number("start")?, number("end")?);
        // Whoever gives the older bound as the start means the same stretch.
        let (newer, older) = if start == 0 || start >= end { (start, end) } else { (end, start) };
        let count = match query::value(parameters, "messageCount")? {
            None => limits::PAGE_MESSAGES,
            Some(text) => text.parse().unwrap_or(0),
        };
        if !(1..=limits::PAGE_MESSAGES).contains(&count) {
            return Err(parameter("messageCount must be a whole number from 1 to 100"));
        }
        let upto = if newer == 0 { Id::MAX } else { Id::last_at(ticks(newer).1) };
        let span = Span { after: Id::last_before(ticks(older).0), upto };
        Ok(Wanted { span, count })
    }
}

/// The first and the last tick that a time stands for.
fn ticks(time: u64) -> (u64, u64) {
    let unit = if time >= MICROSECONDS_FROM { TICKS_PER_MICROSECOND } else { TICKS_PER_MS };
    let first = time.saturating_mul(unit);
    (first, first.saturating_add(unit - 1))
}

fn selection(call: &Call<'_>, of: &Place) -> Result<Option<Selection>, Refusal> {
    let selector = match of {
        Place::Channel(name) => {
            let channel = ChannelName::named(name).map_err(|error| parameter(error.message))?;
            if !call.project.reaches(&channel) {
                return Ok(None);
            }
            Selector::Channel(channel)
        }
        Place::User(name) if name.len() + convert::CHAT_PREFIX.len() <= USER_ID_BYTES => {
            Selector::Recipient(convert::chat_name(name))
        }
        Place::User(_) => return Ok(None),
    };
    let selection = Selection::new([selector]);
    selection.map(Some).map_err(|error| parameter(error.message))
}

/// As many messages as were asked for and those that may share the last one's microsecond, the newest first; and whether
/// that is all there was to read. Where pages end early for their bytes, at least more than may share a microsecond.
async fn read(call: &Call<'_>, selection: &Selection, wanted: &Wanted) -> Result<(Vec<Selected>, bool)> {
    let most = u64::from(wanted.count + limits::PAGE_OVERHANG);
    let span = Span { upto: wanted.span.upto.min(call.channels.frontier()), ..wanted.span };
    let mut found: Vec<Selected> = Vec::new();
    loop {
        let offset = found.len() as u64;
        let limit = (most - offset) as u32;
        let query = SelectionQuery { span, order: Order::Descending, offset, limit };
        let page = call.channels.select(&call.caller(), selection, query).await?;
        let is_over = page.messages.is_empty();
        found.extend(page.messages.into_iter().rev());
        let is_all = found.len() as u64 == page.total.min(most);
        if is_all || is_over || found.len() > limits::PAGE_OVERHANG as usize {
            return Ok((found, is_all || is_over));
        }
    }
}

/// Cuts a page off, and says where the next one begins: at the time of the first message that is left, if no message of
/// the page has it; else the page ends before that time, or, if it has no other, goes on to its end.
fn cut(found: &mut Vec<Selected>, count: usize) -> u64 {
    let ms = |index: usize| found[index].message.id.unix_ms();
    let microseconds = |index: usize| found[index].message.id.ticks() / TICKS_PER_MICROSECOND;
    if found.len() <= count {
        return 0;
    }
    if ms(count) != ms(count - 1) {
        let next = ms(count);
        found.truncate(count);
        return next;
    }
    let same = microseconds(count);
    let first = (0..count).find(|index| microseconds(*index) == same).unwrap_or(count);
    let end = if first > 0 {
        first
    } else {
        (count..found.len()).find(|index| microseconds(*index) != same).unwrap_or(found.len())
    };
    let next = if end < found.len() { microseconds(end) } else { 0 };
    found.truncate(end);
    next
}

fn message(selected: &Selected) -> SecondMessage<'_> {
    let message = &*selected.message;
    SecondMessage {
        message_type: "STRING",
        message: convert::text(&message.payload),
        custom_type: message.custom_type.as_deref().unwrap_or_default(),
        publisher: convert::author(message),
        timestamp: message.id.unix_ms(),
        id: message.id.to_string(),
    }
}
