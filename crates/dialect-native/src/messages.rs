//! `channels/{channel}/messages/{id}`: one message, its edits and its end; and the deletion of many, by a list of ids or
//! by a span.

use crate::{
    Native, auth,
    call::{Answer, Call},
    convert::{self, id},
    error::Problem,
    fields::Fields,
    history::bounds,
    json,
    settings::DELETED_IDS,
    wire,
};
use model::{Channel, Id, Order, Span, Target, Version};
use serde_json::value::RawValue;
use service::{Caller, Query, Reach, Revision};

impl Native {
    pub(crate) async fn message(&self, call: Call<'_>, channel: &Channel, message: Id) -> Answer {
        let caller = call.bare()?;
        let span = Span { after: message.previous(), upto: message };
        let query = Query::of(Reach::Span { span, order: Order::Ascending }, 1);
        let history = self.channels.history(caller, channel, &query).await?;
        let Some(message) = history.page.messages.first() else { return Err(no_message()) };
        let mut out = Vec::with_capacity(256 + message.payload.bytes.len());
        wire::push_message(&mut out, message, None);
        Ok(json(out.into()))
    }

    /// Replaces the content of a message: `payload`, `meta`, and as `author` who edits.
    pub(crate) async fn edit(&self, call: Call<'_>, channel: &Channel, message: Id) -> Answer {
        let (caller, body) = call.body().await?;
        let mut fields = Fields::of_body(&body)?;
        let payload = convert::payload("payload", fields.required_payload()?)?;
        let extras = fields.raw("meta").map(convert::extras).transpose()?;
        let author = fields.take::<String>("author")?.map(|name| convert::author(&name)).transpose()?;
        fields.finish()?;
        let caller = auth::speaking_as(caller, "author", author)?;
        let edit = self.channels.edit(&caller, channel, message, Revision { payload, extras }).await?;
        let mut out = Vec::with_capacity(96);
        wire::push(&mut out, format_args!("{{\"id\":\"{message}\",\"edit\":\"{edit}\""));
        wire::push(&mut out, format_args!(",\"edited\":\"{}\",\"durability\":\"disk\"}}", convert::time(edit)));
        Ok(json(out.into()))
    }

    pub(crate) async fn versions(&self, call: Call<'_>, channel: &Channel, message: Id) -> Answer {
        let caller = call.bare()?;
        let versions = self.channels.versions(caller, channel, message).await?;
        Ok(json(render_versions(message, &versions).into()))
    }

    pub(crate) async fn delete_one(&self, call: Call<'_>, channel: &Channel, message: Id) -> Answer {
        let caller = call.bare()?;
        self.delete(caller, channel, Target::Ids(vec![message])).await
    }

    /// A span by its bounds; everything only if that is said.
    pub(crate) async fn delete_span(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, mut params) = call.params()?;
        let (bounded, span) = bounds(&mut params)?;
        let all = params.take_flag("all")?;
        params.finish(&["after", "since", "before", "upto", "all"])?;
        match (bounded, all) {
            (true, true) => return Err(Problem::invalid("all", "not together with bounds")),
            (false, false) => {
                let text = "without bounds (after, since, before, upto) this deletes everything: say all=true";
                return Err(Problem::invalid("all", text));
            }
            _ => {}
        }
        self.delete(caller, channel, Target::Span(span)).await
    }

    pub(crate) async fn delete_list(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, body) = call.body().await?;
        let mut fields = Fields::of_body(&body)?;
        let ids = fields.list("ids", DELETED_IDS)?.ok_or_else(|| Problem::invalid("ids", "missing field"))?;
        fields.finish()?;
        let ids = ids.into_iter().map(listed).collect::<Result<Vec<Id>, Problem>>()?;
        self.delete(caller, channel, Target::Ids(ids)).await
    }

    async fn delete(&self, caller: &Caller, channel: &Channel, target: Target) -> Answer {
        let deleted = self.channels.delete(caller, channel, target).await?;
        let mut out = Vec::with_capacity(64);
        wire::push(&mut out, format_args!("{{\"deleted\":{},\"change\":", deleted.messages));
        match deleted.id {
            Some(id) => wire::push(&mut out, format_args!("\"{id}\"}}")),
            None => out.extend_from_slice(b"null}"),
        }
        Ok(json(out.into()))
    }
}

fn listed(raw: &RawValue) -> Result<Id, Problem> {
    let text: String =
        serde_json::from_str(raw.get()).map_err(|error| Problem::invalid("ids", wire::reason(&error)))?;
    id("ids", &text)
}

fn no_message() -> Problem {
    Problem::not_found("id", "there is no such message in this channel, or none that you may see")
}

fn render_versions(message: Id, versions: &[Version]) -> Vec<u8> {
    let bytes: usize = versions.iter().map(|version| 160 + version.payload.bytes.len()).sum();
    let mut out = Vec::with_capacity(64 + bytes);
    wire::push(&mut out, format_args!("{{\"id\":\"{message}\",\"versions\":["));
    for (index, version) in versions.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b"," } else { b"" });
        let (at, time) = (version.at, convert::time(version.at));
        wire::push(&mut out, format_args!("{{\"id\":\"{at}\",\"time\":\"{time}\""));
        if let Some(by) = &version.by {
            wire::push_user(&mut out, "author", by);
        }
        wire::push_content(&mut out, &version.payload, version.extras.as_deref());
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}
