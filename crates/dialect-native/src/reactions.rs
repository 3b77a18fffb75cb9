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
use model::{Channel, Id, Order, Reaction, Span, limits};
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
        params.finish(&["limit"])?;
        let span = Span { after: message.previous(), upto: message };
        let reactions = self.channels.reactions(caller, channel, span, limit).await?;
        Ok(json(render(&reactions, None).into()))
    }

    /// By the messages of a span, or, with `by=reaction`, by when the reactions were made: these can be paged.
    pub(crate) async fn reactions(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, mut params) = call.params()?;
        let (_, span) = bounds(&mut params)?;
        let limit = self.reaction_limit(&mut params)?;
        let by = params.take("by")?;
        params.finish(&["after", "since", "before", "upto", "by", "limit"])?;
        let by_reaction = match by.as_deref() {
            None | Some("message") => false,
            Some("reaction") => true,
            Some(other) => {
                return Err(Problem::invalid("by", format!("{} is neither message nor reaction", shown(other))));
            }
        };
        if !by_reaction {
            let reactions = self.channels.reactions(caller, channel, span, limit).await?;
            return Ok(json(render(&reactions, None).into()));
        }
        let reactions = self.channels.reactions_made(caller, channel, span, Order::Ascending, limit).await?;
        let next = reactions.entries.last().filter(|_| reactions.more).map(|entry| entry.id);
        Ok(json(render(&reactions, next).into()))
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

/// `next` is what to give as `after`, where reactions can be paged.
fn render(reactions: &Reactions, next: Option<Id>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 192 * reactions.entries.len());
    out.extend_from_slice(b"{\"reactions\":[");
    for (index, entry) in reactions.entries.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b"," } else { b"" });
        push_reaction(&mut out, entry.id, &entry.reaction);
        out.push(b'}');
    }
    wire::push(&mut out, format_args!("],\"more\":{}", reactions.more));
    if let Some(next) = next {
        wire::push(&mut out, format_args!(",\"next\":\"?by=reaction&after={next}\""));
    }
    out.push(b'}');
    out
}
