//! `retention`, of an app and of a channel: set at runtime, and asked beforehand what it would remove.

use crate::{
    Native,
    call::{Answer, Call},
    convert,
    error::Problem,
    fields::Fields,
    json,
    params::Params,
    settings::{DEFAULT_LIMIT, LISTED},
    wire,
};
use model::ChannelName;
use serde_json::{Value, json, value::RawValue};
use service::{DryRun, Retention, WouldRemove};
use std::{borrow::Cow, time::Duration};

impl Native {
    /// All rules: the app's, then those of channels.
    pub(crate) async fn retention(&self, call: Call<'_>) -> Answer {
        let caller = call.bare()?;
        let rules = self.channels.retention(caller).await?;
        let rules: Vec<Value> = rules
            .iter()
            .map(|rule| {
                let channel = rule.channel.as_ref().and_then(ChannelName::as_named);
                json!({ "channel": channel, "age": age(rule.retention.age), "messages": messages(rule.retention.messages) })
            })
            .collect();
        Ok(json(json!({ "rules": rules }).to_string().into()))
    }

    /// Sets the rule of a channel, or of the app; with `dry_run=true` only says what it would remove.
    pub(crate) async fn set_retention(&self, call: Call<'_>, channel: Option<&ChannelName>) -> Answer {
        let caller = call.caller;
        let parse_query = |mut params: Params<'_>| {
            let dry_run = params.take_flag("dry_run")?;
            let after = params.take("after")?.map(Cow::into_owned);
            let limit = params.take_number("limit", 1..=LISTED, DEFAULT_LIMIT)? as u32;
            params.finish(&["dry_run", "after", "limit"])?;
            Ok((dry_run, after, limit))
        };
        let ((dry_run, after, limit), body) = call.parts(parse_query).await?;
        let retention = parse(Fields::of_body(&body)?)?;
        if dry_run {
            let would = self.channels.dry_run(caller, channel, retention, after.as_deref(), limit).await?;
            return Ok(json(render(&would).to_string().into()));
        }
        let id = self.channels.set_retention(caller, channel, Some(retention)).await?;
        let answer =
            json!({ "id": id.to_string(), "age": age(retention.age), "messages": messages(retention.messages) });
        Ok(json(answer.to_string().into()))
    }

    /// A channel follows its app again, an app its configuration.
    pub(crate) async fn drop_retention(&self, call: Call<'_>, channel: Option<&ChannelName>) -> Answer {
        let caller = call.bare()?;
        let id = self.channels.set_retention(caller, channel, None).await?;
        Ok(json(json!({ "id": id.to_string() }).to_string().into()))
    }
}

/// Both must be said, so that nobody forgets a bound that was there before.
fn parse(mut fields: Fields<'_>) -> Result<Retention, Problem> {
    let missing = |name: &str| Problem::invalid(name, "missing field");
    let given = fields.raw("age").ok_or_else(|| missing("age"))?;
    let age = match given.get() {
        "\"forever\"" => None,
        _ => Some(convert::duration("age", given)?),
    };
    if age.is_some_and(|age| age.is_zero()) {
        return Err(Problem::invalid("age", "nothing would be kept: delete instead"));
    }
    let messages = count(fields.raw("messages").ok_or_else(|| missing("messages"))?)?;
    fields.finish()?;
    Ok(Retention { age, messages })
}

fn count(raw: &RawValue) -> Result<Option<u64>, Problem> {
    if raw.get() == "\"unlimited\"" {
        return Ok(None);
    }
    match serde_json::from_str(raw.get()) {
        Ok(0) => Err(Problem::invalid("messages", "nothing would be kept: delete instead")),
        Ok(count) => Ok(Some(count)),
        Err(error) => Err(Problem::invalid("messages", format!("{}; or \"unlimited\"", wire::reason(&error)))),
    }
}

fn age(age: Option<Duration>) -> String {
    age.map_or_else(|| "forever".to_owned(), |age| humantime::format_duration(age).to_string())
}

fn messages(messages: Option<u64>) -> Value {
    messages.map_or_else(|| "unlimited".into(), Into::into)
}

fn render(would: &DryRun) -> Value {
    let one = |would: &WouldRemove| {
        json!({
            "channel": would.channel.to_string(),
            "messages": would.messages,
            "upto": { "id": would.upto.id.to_string(), "seq": would.upto.seq.0 },
            "held_by": would.held_by,
        })
    };
    let channels: Vec<Value> = would.channels.iter().map(one).collect();
    json!({ "would_remove": channels, "next": would.next })
}
