//! `channels/{channel}/presence`: who is on a channel. A client that is there says so again within its timeout. `GET
//! presence` and `GET users/{user}/channels` look the other way.

use crate::{
    Native, auth,
    call::{Answer, Call},
    convert,
    error::Problem,
    fields::Fields,
    json,
    json::push_string,
    settings::{CONNECTION, DEFAULT_LIMIT, LISTED, PRESENCE_TIMEOUT},
    wire,
};
use bytes::Bytes;
use model::{ChannelName, UserId};
use serde_json::value::RawValue;
use service::{Arrival, Caller, Here, Member, WhoIsHere};
use std::sync::Arc;

impl Native {
    /// A connection of a user comes, or is heard of again: `user`, and if it matters `connection`, `timeout`, `state`.
    pub(crate) async fn arrive(&self, call: Call<'_>, name: ChannelName) -> Answer {
        let (caller, body) = call.body().await?;
        let mut fields = Fields::of_body(&body)?;
        let caller = user_in(caller, &mut fields)?;
        let connection = connection(fields.take("connection")?);
        let timeout = fields.raw("timeout").map(|raw| convert::duration("timeout", raw)).transpose()?;
        let state = fields.raw("state").map(state).transpose()?;
        fields.finish()?;
        let arrival = Arrival { connection, timeout: Some(timeout.unwrap_or(PRESENCE_TIMEOUT)), state, data: None };
        self.channels.arrive(&caller, std::slice::from_ref(&name), arrival).await?;
        Ok(json("{\"present\":true}".into()))
    }

    /// Sets or, with null, clears the state of a user who is there.
    pub(crate) async fn set_state(&self, call: Call<'_>, name: ChannelName) -> Answer {
        let (caller, body) = call.body().await?;
        let mut fields = Fields::of_body(&body)?;
        let caller = user_in(caller, &mut fields)?;
        if !fields.holds("state") {
            return Err(Problem::invalid("state", "missing field"));
        }
        let state = fields.raw("state").map(state).transpose()?;
        fields.finish()?;
        let absent = self.channels.set_state(&caller, std::slice::from_ref(&name), state).await?;
        match absent.is_empty() {
            true => Ok(json("{\"present\":true}".into())),
            false => Err(Problem::not_found("user", "it is not on this channel")),
        }
    }

    /// A connection goes; going twice does no harm.
    pub(crate) async fn leave(&self, call: Call<'_>, name: ChannelName) -> Answer {
        let (caller, mut params) = call.params()?;
        let user = params.take("user")?.map(|id| convert::user("user", &id, None)).transpose()?;
        let connection = connection(params.take("connection")?.map(|text| text.into_owned()));
        params.finish(&["user", "connection"])?;
        let caller = present(auth::speaking_as(caller, "user", user)?)?;
        self.channels.leave(&caller, Some(std::slice::from_ref(&name)), &connection).await?;
        Ok(json("{\"present\":false}".into()))
    }

    pub(crate) async fn who_is_here(&self, call: Call<'_>, name: ChannelName) -> Answer {
        let (caller, mut params) = call.params()?;
        let limit = params.take_number("limit", 0..=LISTED, DEFAULT_LIMIT)? as usize;
        let offset = params.take_number("offset", 0..=u64::from(u32::MAX), 0)? as usize;
        params.finish(&["limit", "offset"])?;
        let asked = WhoIsHere { channels: Some(vec![name]), after: None, limit, offset };
        let here = self.channels.here(caller, &asked).await?;
        let mut out = Vec::with_capacity(256);
        match here.first() {
            Some(here) => push_here(&mut out, here, true),
            None => return Err(Problem::not_found("channel", "it was not answered for")),
        }
        Ok(json(out.into()))
    }

    /// The channels that somebody is on, with how many.
    pub(crate) async fn occupied(&self, call: Call<'_>) -> Answer {
        let (caller, mut params) = call.params()?;
        let after = params.take_channel("after")?;
        params.finish(&["after"])?;
        let asked = WhoIsHere { channels: None, after, limit: 0, offset: 0 };
        let all = self.channels.here(caller, &asked).await?;
        let mut out = b"{\"channels\":[".to_vec();
        for (index, here) in all.iter().filter(|here| here.channel.as_named().is_some()).enumerate() {
            out.extend_from_slice(if index > 0 { b"," } else { b"" });
            push_here(&mut out, here, false);
        }
        out.extend_from_slice(b"]}");
        Ok(json(out.into()))
    }

    pub(crate) async fn where_is(&self, call: Call<'_>, user: &str) -> Answer {
        let (caller, mut params) = call.params()?;
        let origin = params.take("origin")?;
        params.finish(&["origin"])?;
        let user = convert::user("user", user, origin.as_deref())?;
        // Whether its name was proved or not: both are asked for.
        let mut names = self.channels.where_is(caller, &user).await?;
        names.extend(self.channels.where_is(caller, &UserId { verified: true, ..user }).await?);
        names.sort();
        names.dedup();
        let mut out = b"{\"channels\":[".to_vec();
        for (index, name) in names.iter().filter_map(ChannelName::as_named).enumerate() {
            out.extend_from_slice(if index > 0 { b"," } else { b"" });
            push_string(&mut out, name);
        }
        out.extend_from_slice(b"]}");
        Ok(json(out.into()))
    }
}

fn user_in(caller: &Caller, fields: &mut Fields<'_>) -> Result<Caller, Problem> {
    let user = fields.take::<String>("user")?.map(|id| convert::user("user", &id, None)).transpose()?;
    present(auth::speaking_as(caller, "user", user)?)
}

fn present(caller: Caller) -> Result<Caller, Problem> {
    if caller.user.is_some() { Ok(caller) } else { Err(Problem::invalid("user", "missing: who is there must be said")) }
}

fn connection(named: Option<String>) -> Arc<str> {
    named.map_or_else(|| CONNECTION.into(), Arc::from)
}

fn state(raw: &RawValue) -> Result<Bytes, Problem> {
    Ok(Bytes::copy_from_slice(convert::shallow("state", raw)?.as_bytes()))
}

fn push_here(out: &mut Vec<u8>, here: &Here, with_users: bool) {
    out.extend_from_slice(b"{\"channel\":");
    push_string(out, here.channel.as_named().unwrap_or_default());
    wire::push(out, format_args!(",\"occupancy\":{}", here.occupancy));
    if with_users {
        out.extend_from_slice(b",\"users\":[");
        for (index, member) in here.members.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b"," } else { b"" });
            push_member(out, member);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn push_member(out: &mut Vec<u8>, member: &Member) {
    wire::push(out, format_args!("{{\"connections\":{}", member.connections));
    wire::push_user(out, "user", &member.user);
    if let Some(state) = &member.state {
        wire::push(out, format_args!(",\"state\":{}", String::from_utf8_lossy(state)));
    }
    out.push(b'}');
}
