//! `GET channels/{channel}/messages`: a page of history.

use crate::{
    Native,
    call::{Answer, Call},
    convert::{self, Position},
    error::Problem,
    json,
    params::{Params, shown},
    settings::DEFAULT_LIMIT,
    wire,
};
use model::{Author, Channel, Id, Order, Span};
use service::{Query, Reach};

/// Under this name a page keeps its bytes.
const DIALECT: &str = "native";

const KNOWN: [&str; 10] = ["after", "since", "before", "around", "at", "order", "limit", "author", "origin", "type"];

impl Native {
    pub(crate) async fn history(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, params) = call.params()?;
        let query = parse(params, self.settings.page_messages)?;
        let history = self.channels.history(caller, channel, &query).await?;
        let bytes = history.rendered(DIALECT, |history| wire::page(history, &query).into());
        Ok(json(bytes.into()))
    }
}

/// What a page is asked for, in the words of the query; `read` has the same words as members of an object.
pub(crate) fn parse(mut params: Params<'_>, page_messages: u32) -> Result<Query, Problem> {
    let most = u64::from(page_messages);
    let limit = params.take_number("limit", 1..=most, DEFAULT_LIMIT.min(most))? as u32;
    let author = author(&mut params)?;
    let custom_type = params.take("type")?.map(|text| text.into());
    let reach = reach(&mut params)?;
    params.finish(&KNOWN)?;
    Ok(Query { reach, limit, author, custom_type })
}

/// Whose messages: `author` is the id of a user, whichever door it came through, proved or not; `origin` names the door.
pub(crate) fn author(params: &mut Params<'_>) -> Result<Option<Author>, Problem> {
    let (id, origin) = (params.take("author")?, params.take("origin")?);
    match (id, origin) {
        (None, Some(_)) => Err(Problem::invalid("origin", "it goes with an author")),
        (None, None) => Ok(None),
        (Some(id), origin) => {
            let user = convert::user("author", &id, origin.as_deref())?;
            Ok(Some(Author { id: user.id, origin: origin.map(|_| user.origin), verified: None }))
        }
    }
}

fn reach(params: &mut Params<'_>) -> Result<Reach, Problem> {
    let around = position(params, "around")?;
    let at = position(params, "at")?;
    let lower = lower(position(params, "after")?, position(params, "since")?)?;
    let upper = position(params, "before")?.map(Position::just_before);
    let order = order(params)?;
    let others = lower.is_some() || upper.is_some() || order.is_some();
    match (around, at) {
        (Some(_), Some(_)) => Err(Problem::invalid("around", "not together with at")),
        (Some(_), None) if others => Err(Problem::invalid("around", "not together with bounds or an order")),
        (None, Some(_)) if others => Err(Problem::invalid("at", "not together with bounds or an order")),
        (Some(around), None) => Ok(Reach::Around(around.first())),
        (None, Some(at)) => {
            let span = Span { after: at.just_before(), upto: at.last() };
            Ok(Reach::Span { span, order: Order::Ascending })
        }
        (None, None) => span(lower, upper, order),
    }
}

/// Without an order, a page begins where its only bound is: the oldest ones after it; otherwise the newest ones.
fn span(lower: Option<Id>, upper: Option<Id>, order: Option<Order>) -> Result<Reach, Problem> {
    let span = Span { after: lower.unwrap_or(Id::MIN), upto: upper.unwrap_or(Id::MAX) };
    if span.after > span.upto {
        return Err(Problem::invalid("before", "it lies before the other bound"));
    }
    let implied = if lower.is_some() && upper.is_none() { Order::Ascending } else { Order::Descending };
    Ok(Reach::Span { span, order: order.unwrap_or(implied) })
}

/// The bounds of a span in the words of a query, which are the same everywhere: `after` or `since`, `before` or `upto`.
/// Whether any of them is given, and the span.
pub(crate) fn bounds(params: &mut Params<'_>) -> Result<(bool, Span), Problem> {
    let lower = lower(position(params, "after")?, position(params, "since")?)?;
    let upper = match (position(params, "before")?, position(params, "upto")?) {
        (Some(_), Some(_)) => return Err(Problem::invalid("upto", "not together with before")),
        (Some(before), None) => Some(("before", before.just_before())),
        (None, upto) => upto.map(|upto| ("upto", upto.last())),
    };
    let span = Span { after: lower.unwrap_or(Id::MIN), upto: upper.map_or(Id::MAX, |(_, upto)| upto) };
    if let Some((name, _)) = upper.filter(|_| span.after > span.upto) {
        return Err(Problem::invalid(name, "it lies before the other bound"));
    }
    Ok((lower.is_some() || upper.is_some(), span))
}

pub(crate) fn lower(after: Option<Position>, since: Option<Position>) -> Result<Option<Id>, Problem> {
    match (after, since) {
        (Some(_), Some(_)) => Err(Problem::invalid("since", "not together with after")),
        (Some(after), None) => Ok(Some(after.last())),
        (None, since) => Ok(since.map(Position::just_before)),
    }
}

pub(crate) fn position(params: &mut Params<'_>, field: &str) -> Result<Option<Position>, Problem> {
    params.take(field)?.map(|text| Position::parse(field, &text)).transpose()
}

pub(crate) fn order(params: &mut Params<'_>) -> Result<Option<Order>, Problem> {
    match params.take("order")?.as_deref() {
        None => Ok(None),
        Some("asc") => Ok(Some(Order::Ascending)),
        Some("desc") => Ok(Some(Order::Descending)),
        Some(other) => Err(Problem::invalid("order", format!("{} is neither asc nor desc", shown(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach_of(query: &str) -> Result<Reach, u16> {
        let params = Params::parse(Some(query)).expect("well formed");
        parse(params, 1_000).map(|query| query.reach).map_err(|problem| problem.status.as_u16())
    }

    fn span(after: u64, upto: u64, order: Order) -> Result<Reach, u16> {
        Ok(Reach::Span { span: Span { after: Id::from_raw(after), upto: Id::from_raw(upto) }, order })
    }

    #[test]
    fn bounds_say_where_a_page_begins() {
        use Order::{Ascending, Descending};
        assert_eq!(reach_of(""), span(0, u64::MAX, Descending));
        assert_eq!(reach_of("before=10"), span(0, 9, Descending));
        assert_eq!(reach_of("after=10"), span(10, u64::MAX, Ascending));
        assert_eq!(reach_of("since=10"), span(9, u64::MAX, Ascending));
        assert_eq!(reach_of("after=10&order=desc"), span(10, u64::MAX, Descending));
        assert_eq!(reach_of("after=10&before=20"), span(10, 19, Descending));
        assert_eq!(reach_of("after=10&before=11"), span(10, 10, Descending), "empty, but not the wrong way round");
        assert_eq!(reach_of("at=10"), span(9, 10, Ascending));
        assert_eq!(reach_of("at=tt:1"), span(255, 511, Ascending));
        assert_eq!(reach_of("after=tt:1&before=tt:3"), span(511, 767, Descending));
        assert_eq!(reach_of("around=10"), Ok(Reach::Around(Id::from_raw(10))));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for bad in [
            "after=20&before=10",
            "after=10&before=10",
            "after=10&since=10",
            "around=10&before=20",
            "around=10&at=10",
            "at=10&order=asc",
            "order=up",
            "limit=0",
            "limit=1001",
            "limit=1&limit=1",
            "limt=10",
            "before=x",
            "author=",
            "origin=native",
            "author=ann&origin=nowhere",
        ] {
            assert_eq!(reach_of(bad), Err(400), "{bad}");
        }
    }
}
