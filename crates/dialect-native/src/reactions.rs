//! `channels/{channel}/messages/{id}/reactions` and `channels/{channel}/reactions`: one reaction a user, message, type
//! and value.

use crate::{
    Native, auth,
    call::{Answer, Call},
    convert,
    error::Problem,
    fields::Fields,
    history::bounds,
    json,
    params::{Params, shown},
    settings::DEFAULT_LIMIT,
    wire::{self, change::push_reaction},
};
use http::StatusCode;
use model::{Channel, Id, Order, Reaction, ReactionAt, Span, limits};
use service::{Reactions, Unreact};

/// The type of a reaction that does not say one.
const DEFAULT_TYPE: &str = "reaction";

impl Native {
    /// `value`, and if it matters `type` and `user`; the message must be there.
    pub(crate) async fn react(&self, call: Call<'_>, channel: &Channel, message: Id) -> Answer {
        let (caller, body) = call.body().await?;
        let mut fields = Fields::of_body(&body)?;
        let value = bounded("value", fields.required("value")?)?;
        let kind = bounded("type", fields.take("type")?.unwrap_or_else(|| DEFAULT_TYPE.to_owned()))?;
        let user = fields.take::<String>("user")?.map(|id| convert::user("user", &id, None)).transpose()?;
        fields.finish()?;
        let caller = auth::speaking_as(caller, "user", user)?;
        let user = caller.user.clone().ok_or_else(|| Problem::invalid("user", "missing field"))?;
        let reaction = Reaction { message, user, kind: kind.into(), value: value.into() };
        let id = self.channels.react(&caller, channel, reaction, true).await?;
        let mut out = Vec::with_capacity(96);
        wire::push(&mut out, format_args!("{{\"id\":\"{id}\",\"message\":\"{message}\",\"durability\":\"disk\"}}"));
        let mut response = json(out.into());
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }

    pub(crate) async fn reactions_to(&self, call: Call<'_>, channel: &Channel, message: Id) -> Answer {
        let (caller, mut params) = call.params()?;
        let limit = self.reaction_limit(&mut params)?;
        let after = behind(&mut params, message)?;
        params.finish(&["behind", "limit"])?;
        let span = Span { after: message.previous(), upto: message };
        let reactions = self.channels.reactions(caller, channel, span, after, limit).await?;
        let next = reactions.end().map(|end| format!("?behind={}", end.reaction));
        Ok(json(render(&reactions, next).into()))
    }

    /// By the messages of a span, or, with `by=reaction`, by when the reactions were made.
    pub(crate) async fn reactions(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, mut params) = call.params()?;
        let (_, span) = bounds(&mut params)?;
        let limit = self.reaction_limit(&mut params)?;
        let by = params.take("by")?;
        let after = behind(&mut params, Id::from_raw(span.after.raw().saturating_add(1)))?;
        params.finish(&["after", "since", "before", "upto", "behind", "by", "limit"])?;
        let rest = if span.upto == Id::MAX { String::new() } else { format!("&upto={}", span.upto) };
        match by.as_deref() {
            None | Some("message") => {
                let reactions = self.channels.reactions(caller, channel, span, after, limit).await?;
                let next = reactions.end().map(|end| format!("?since={}&behind={}{rest}", end.message, end.reaction));
                Ok(json(render(&reactions, next).into()))
            }
            Some("reaction") if after.is_none() => {
                let reactions = self.channels.reactions_made(caller, channel, span, Order::Ascending, limit).await?;
                let last = reactions.entries.last().filter(|_| reactions.more);
                let next = last.map(|entry| format!("?by=reaction&after={}{rest}", entry.id));
                Ok(json(render(&reactions, next).into()))
            }
            Some("reaction") => Err(Problem::invalid("behind", "not together with by=reaction: say after")),
            Some(other) => Err(Problem::invalid("by", format!("{} is neither message nor reaction", shown(other)))),
        }
    }

    pub(crate) async fn unreact(&self, call: Call<'_>, channel: &Channel, reaction: Id) -> Answer {
        let (caller, mut params) = call.params()?;
        let user = params.take("user")?.map(|id| convert::user("user", &id, None)).transpose()?;
        params.finish(&["user"])?;
        let caller = auth::speaking_as(caller, "user", user)?;
        let taken = self.channels.unreact(&caller, channel, Unreact::Id(reaction)).await?;
        let mut out = Vec::with_capacity(160);
        push_reaction(&mut out, taken.id, &taken.reaction);
        out.push(b'}');
        Ok(json(out.into()))
    }

    fn reaction_limit(&self, params: &mut Params<'_>) -> Result<u32, Problem> {
        let most = u64::from(self.settings.page_messages);
        Ok(params.take_number("limit", 1..=most, DEFAULT_LIMIT.min(most))? as u32)
    }
}

fn bounded(field: &str, text: String) -> Result<String, Problem> {
    match text.len() {
        1..=limits::REACTION_BYTES => Ok(text),
        _ => Err(Problem::invalid(field, format!("1 to {} bytes", limits::REACTION_BYTES))),
    }
}

/// Behind which reaction to the first message a page begins.
fn behind(params: &mut Params<'_>, message: Id) -> Result<Option<ReactionAt>, Problem> {
    let reaction = params.take("behind")?.map(|text| convert::id("behind", &text)).transpose()?;
    Ok(reaction.map(|reaction| ReactionAt { message, reaction }))
}

/// `next` is the query of the next page.
fn render(reactions: &Reactions, next: Option<String>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 192 * reactions.entries.len());
    out.extend_from_slice(b"{\"reactions\":[");
    for (index, entry) in reactions.entries.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b"," } else { b"" });
        push_reaction(&mut out, entry.id, &entry.reaction);
        out.push(b'}');
    }
    wire::push(&mut out, format_args!("],\"more\":{}", reactions.more));
    if let Some(next) = next {
        wire::push(&mut out, format_args!(",\"next\":\"{next}\""));
    }
    out.push(b'}');
    out
}
